"""What a back end is, and which ones there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.traits import Traits
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Graph

if TYPE_CHECKING:
    from sdt_lava.backends.board import HardwareOptions
    from sdt_lava.backends.result import Result

# Options of a simulation that a back end refuses unless it says that it takes them.
_PARTICULAR = ("models", "memory", "threads", "device")


class Backend(ABC):
    """Something that runs networks.

    Attributes
    ----------
    name : str
        What :func:`~sdt_lava.backends.run.simulate` and the commands call it.
    runs_graphs : bool
        Whether it runs integer graphs; otherwise float models.
    traits : Traits
        What its results say of it.
    needs_hardware : bool
        Whether it needs more than a computer.
    options : frozenset of str
        Which options it takes of those that only some back ends do.
    """

    name: ClassVar[str]
    runs_graphs: ClassVar[bool] = True
    traits: ClassVar[Traits] = Traits()
    needs_hardware: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()

    def check(self, options: RunOptions) -> None:
        """Check what can be checked without a network.

        Raises
        ------
        ConfigError
            If an option is not allowed, or not one of this back end.
        SdtLavaError
            As of `require`.
        """
        if options.batch_size is not None and options.batch_size < 1:
            raise ConfigError("batch_size", str(options.batch_size), "at least 1")
        for option in _PARTICULAR:
            value = getattr(options, option)
            if value is not None and option not in self.options:
                names = names_taking(option)
                allowed = f"back end {names[0]!r}" if len(names) == 1 else f"{names}"
                raise ConfigError(option, f"{value!r} for back end {self.name!r}", allowed)
        self.require(options.hardware)

    def require(self, hardware: HardwareOptions | None = None) -> None:  # noqa: B027
        """Check that everything is installed, or connected, that it needs.

        Parameters
        ----------
        hardware : HardwareOptions, optional
            What the network is to run on.

        Raises
        ------
        SdtLavaError
            If something is missing.
        """

    @abstractmethod
    def simulate(self, net: Any, x: Any, options: RunOptions) -> Result:
        """Run a network on some input.

        Parameters
        ----------
        net : Graph or torch.nn.Module
            An integer graph, or a float model: see `runs_graphs`.
        x : array_like, Dataset, SampleSource or torch Dataset
            The input, as :func:`~sdt_lava.backends.run.simulate` takes it.
        options : RunOptions
            They have been checked.
        """


_BACKENDS: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    """Add a back end, behind those that are there; one of the same name is replaced."""
    _BACKENDS[backend.name] = backend


def simulator_names() -> tuple[str, ...]:
    """Return the names of the back ends that run integer graphs on any computer."""
    return _names(lambda backend: backend.runs_graphs and not backend.needs_hardware)


def hardware_names() -> tuple[str, ...]:
    """Return the names of the back ends that need hardware."""
    return _names(lambda backend: backend.needs_hardware)


def names_taking(option: str) -> tuple[str, ...]:
    """Return the names of the back ends that take an option which others refuse or ignore."""
    return _names(lambda backend: option in backend.options)


def graph_names() -> tuple[str, ...]:
    """Return the names of the back ends that run integer graphs; those on hardware come last."""
    return (*simulator_names(), *hardware_names())


def backend_for(net: Any, name: str | None = None) -> Backend:
    """Return the back end that runs a network.

    Parameters
    ----------
    net : Graph or torch.nn.Module
        The network.
    name : str, optional
        Which one; the first that runs such networks by default.

    Raises
    ------
    ConfigError
        If there is no such back end, or if it does not run such networks.
    """
    is_graph = isinstance(net, Graph)
    allowed = graph_names() if is_graph else _names(lambda backend: not backend.runs_graphs)
    chosen = name or allowed[0]
    if chosen not in allowed:
        remedy = "" if is_graph else "export the model first: sdt_lava.export(model, 'net.h5')"
        raise ConfigError("backend", repr(chosen), f"one of {allowed} for this network", remedy)
    return _BACKENDS[chosen]


def find_backend(where: str, name: str, *, with_hardware: bool = False) -> Backend:
    """Return the back end of a name that runs integer graphs.

    Parameters
    ----------
    where : str
        What named it, for the error.
    name : str
        Its name.
    with_hardware : bool
        Whether it may need hardware.

    Raises
    ------
    ConfigError
        If there is none.
    """
    allowed = graph_names() if with_hardware else simulator_names()
    if name not in allowed:
        raise ConfigError(where, repr(name), f"one of {allowed}")
    return _BACKENDS[name]


def _names(holds: Callable[[Backend], bool]) -> tuple[str, ...]:
    return tuple(name for name, backend in _BACKENDS.items() if holds(backend))
