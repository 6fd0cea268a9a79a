"""Define the interface of back ends and their registry."""

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

# Options that a back end rejects unless it declares them.
_PARTICULAR = ("models", "memory", "threads", "device")


class Backend(ABC):
    """Base class of objects that run networks.

    Attributes
    ----------
    name : str
        Name of the back end for :func:`~sdt_lava.backends.run.simulate` and for commands.
    runs_graphs : bool
        Whether the back end runs integer graphs; otherwise it runs float models.
    traits : Traits
        Properties of the back end that its results depend on.
    needs_hardware : bool
        Whether the back end needs special hardware.
    options : frozenset of str
        Options that this back end accepts but some others do not.
    """

    name: ClassVar[str]
    runs_graphs: ClassVar[bool] = True
    traits: ClassVar[Traits] = Traits()
    needs_hardware: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()

    def check(self, options: RunOptions) -> None:
        """Check options as far as possible without a network.

        Raises
        ------
        ConfigError
            If the value of an option is not allowed, or the back end does not accept the option.
        SdtLavaError
            As for `require`.
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
        """Check that all required software and hardware is available.

        Parameters
        ----------
        hardware : HardwareOptions, optional
            Options that select the hardware.

        Raises
        ------
        SdtLavaError
            If a requirement is missing.
        """

    @abstractmethod
    def simulate(self, net: Any, x: Any, options: RunOptions) -> Result:
        """Run a network on an input.

        Parameters
        ----------
        net : Graph or torch.nn.Module
            An integer graph or a float model, depending on `runs_graphs`.
        x : array_like, Dataset, SampleSource or torch Dataset
            The input, as for :func:`~sdt_lava.backends.run.simulate`.
        options : RunOptions
            Options that `check` has accepted.
        """


_BACKENDS: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    """Append a back end to the registry, or replace the one with the same name."""
    _BACKENDS[backend.name] = backend


def simulator_names() -> tuple[str, ...]:
    """Return the names of the back ends that run integer graphs on any computer."""
    return _names(lambda backend: backend.runs_graphs and not backend.needs_hardware)


def hardware_names() -> tuple[str, ...]:
    """Return the names of the back ends that need hardware."""
    return _names(lambda backend: backend.needs_hardware)


def names_taking(option: str) -> tuple[str, ...]:
    """Return the names of the back ends that accept an option which others reject or ignore."""
    return _names(lambda backend: option in backend.options)


def graph_names() -> tuple[str, ...]:
    """Return the names of the back ends that run integer graphs, with hardware last."""
    return (*simulator_names(), *hardware_names())


def backend_for(net: Any, name: str | None = None) -> Backend:
    """Return the back end for a network.

    Parameters
    ----------
    net : Graph or torch.nn.Module
        The network.
    name : str, optional
        Name of the back end; by default the first one that runs such networks.

    Raises
    ------
    ConfigError
        If there is no such back end, or it does not run such networks.
    """
    is_graph = isinstance(net, Graph)
    allowed = graph_names() if is_graph else _names(lambda backend: not backend.runs_graphs)
    backend_name = name or allowed[0]
    if backend_name not in allowed:
        remedy = "" if is_graph else "export the model first: sdt_lava.export(model, 'net.h5')"
        raise ConfigError(
            "backend", repr(backend_name), f"one of {allowed} for this network", remedy
        )
    return _BACKENDS[backend_name]


def find_backend(where: str, name: str, *, with_hardware: bool = False) -> Backend:
    """Return the back end with a name if it runs integer graphs.

    Parameters
    ----------
    where : str
        Origin of the name, for the error.
    name : str
        Name of the back end.
    with_hardware : bool
        Whether the back end may need hardware.

    Raises
    ------
    ConfigError
        If there is no such back end.
    """
    allowed = graph_names() if with_hardware else simulator_names()
    if name not in allowed:
        raise ConfigError(where, repr(name), f"one of {allowed}")
    return _BACKENDS[name]


def _names(holds: Callable[[Backend], bool]) -> tuple[str, ...]:
    return tuple(name for name, backend in _BACKENDS.items() if holds(backend))
