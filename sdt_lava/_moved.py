"""Redirect imports of module names from 0.2 and earlier, with a warning, until 0.4.

An entry applies to a module and everything below it, unless a longer entry matches.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = "sdt_lava"
# New names by old name, without the prefix "sdt_lava.".
MOVED = {
    "allocation": "support.allocation",
    "archives": "io.archives",
    "arrays": "support.arrays",
    "checkpoint": "families",
    "checkpoint.archive": "io.checkpoint.archive",
    "checkpoint.numpy_scalar": "io.checkpoint.numpy_scalar",
    "checkpoint.official": "families.sdt1.official",
    "checkpoint.official_config": "families.sdt1.official_config",
    "checkpoint.official_layout": "families.sdt1.official_layout",
    "checkpoint.official_shapes": "families.sdt1.official_shapes",
    "checkpoint.safetensors": "io.checkpoint.safetensors",
    "checkpoint.unpickle": "io.checkpoint.unpickle",
    "checkpoint.weights": "io.checkpoint.weights",
    "compiler.core_map": "hardware.core_map",
    "compiler.core_map.relations": "ir.relations",
    "compiler.eight_bits": "ir.eight_bits",
    "compiler.rules": "hardware.rules",
    "compiler.targets": "hardware.targets",
    "compiler.targets.description": "compiler.target",
    "cuba": "ir.cuba_steps",
    "extras": "support.extras",
    "file_kinds": "io.file_kinds",
    "files": "io.files",
    "forks": "support.forks",
    "graph": "ir",
    "graph.cuba": "ir",
    "graph.dilation": "ir",
    "graph.group_sum": "ir",
    "graph.mapped": "ir",
    "graph.nodes": "ir",
    "interruption": "support.interruption",
    "json_text": "io.json_text",
    "lazy": "support.lazy",
    "limits": "io.limits",
    "model.attention": "families.sdt1.attention",
    "model.augment": "training.augment",
    "model.config": "families.sdt1.config",
    "model.dynamics": "families.blocks.dynamics",
    "model.layers": "families.blocks.layers",
    "model.mlp": "families.sdt1.mlp",
    "model.neurons": "families.blocks.neurons",
    "model.normalisation": "datasets.normalisation",
    "model.patch_splitting": "families.sdt1.patch_splitting",
    "model.presets": "families.sdt1.presets",
    "model.recording": "families.blocks.recording",
    "model.shortcut": "families.sdt1.shortcut",
    "model.synapses": "families.blocks.synapses",
    "model.trace": "importers.tracing.tracer",
    "model.training": "training.training",
    "model.transformer": "families.sdt1.transformer",
    "netx": "io.netx",
    "nir.delays": "importers.nir.delays",
    "nir.entry": "importers.nir.entry",
    "nir.exact": "io.nir.exact",
    "nir.exporter": "io.nir.exporter",
    "nir.flat": "io.nir.flat",
    "nir.float_graph": "importers.nir.float_graph",
    "nir.importer": "quantize.from_nir",
    "nir.layers": "importers.nir.layers",
    "nir.neurons": "importers.nir.neurons",
    "nir.operators": "importers.nir.operators",
    "nir.populations": "importers.nir.populations",
    "nir.reachable": "quantize.nir_thresholds",
    "nir.reader": "io.nir.reader",
    "nir.readout": "importers.nir.readout",
    "nir.structure": "importers.nir.structure",
    "nir.units": "io.nir.units",
    "nir.values": "io.nir.values",
    "numerics": "ir.numerics",
    "once": "support.once",
    "output_files": "io.output_files",
    "processes": "backends.lava.processes",
    "quantize.biases": "ir.biases",
    "quantize.bounds": "ir.bounds",
    "quantize.fine_tune": "training.fine_tune",
    "quantize.fold": "importers.fold",
    "quantize.grid": "importers.grid",
    "quantize.intervals": "ir.intervals",
    "quantize.leaks": "ir.leaks",
    "quantize.message_bounds": "ir.message_bounds",
    "quantize.proof": "ir.proof",
    "registers": "ir.registers",
    "report.counts": "counts.counts",
    "report.events": "counts.events",
    "report.fan_out": "ir.fan_out",
    "report.formula": "families.sdt1.formula",
    "report.fused_counts": "counts.fused_counts",
    "report.replay": "counts.replay",
    "report.synops": "counts.synops",
    "same_files": "io.same_files",
    "sigma_delta": "ir.sigma_delta_steps",
    "simulate": "backends",
    "simulate.engine": "engine",
    "simulate.engine_options": "engine.options",
    "simulate.engine_run": "backends.engine",
    "simulate.inputs": "ir.encoding",
    "simulate.lava": "backends.lava.run",
    "simulate.lava_actors": "backends.lava.actors",
    "simulate.lava_compile": "backends.lava.compile",
    "simulate.lava_in_process": "backends.lava.in_process",
    "simulate.lava_presence": "backends.lava.presence",
    "simulate.lava_runtime": "backends.lava.runtime",
    "simulate.lava_session": "backends.lava.session",
    "simulate.loihi": "backends.board",
    "simulate.machine": "backends.machine.run",
    "simulate.machine_connections": "backends.machine.connections",
    "simulate.machine_populations": "backends.machine.populations",
    "simulate.process_guard": "backends.lava.process_guard",
    "simulate.reference": "ir.reference",
    "simulate.sigma_delta": "ir.sigma_delta_runs",
    "simulate.states": "ir.states",
    "simulate.windows": "ir.windows",
    "sweep": "evaluate.sweep",
    "text": "support.text",
    "toml_tables": "io.toml_tables",
    "torch_precision": "support.torch_precision",
    "torch_state": "support.torch_state",
    "torch_use": "support.torch_use",
}
# Names that left a module which is still there, and where they are now.
MOVED_NAMES = {
    "compiler": {"compile_network": "backends.deployment"},
    "compiler.compile": {"compile_network": "backends.deployment"},
    "families.sdt1.formula": dict.fromkeys(
        ("AttentionCost", "layer_rates", "total_parameters"),
        "families.formula",
    ),
    "families.tensors": {"expected_tensors": "families.sdt1.tensors"},
    "backends.lava.presence": {"default_backend": "backends.default"},
}
# A function has this name; importing the module would hide it.
_HIDDEN = f"{_PACKAGE}.simulate"


def new_name(old: str) -> str | None:
    """Return the new full name of a module, or None if it has not moved.

    Parameters
    ----------
    old : str
        Full name of the module in 0.2.
    """
    head, _, path = old.partition(".")
    if head != _PACKAGE:
        return None
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        new = MOVED.get(".".join(parts[:end]))
        if new is not None:
            return ".".join([_PACKAGE, new, *parts[end:]])
    return None


def _warn(old: str, new: str, stacklevel: int) -> None:
    message = f"{old} is {new} now; the old name will be removed in 0.4"
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)


def moved_name(module: str, name: str) -> Any:
    """Return what a module defined in 0.2, from the module that defines it now, with a warning.

    Parameters
    ----------
    module : str
        Full name of the module.
    name : str
        Name that it defined.

    Raises
    ------
    AttributeError
        If the module never defined this name.
    """
    new = MOVED_NAMES.get(module.removeprefix(f"{_PACKAGE}."), {}).get(name)
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", f"{_PACKAGE}.{new}.{name}", stacklevel=4)
    return getattr(import_module(f"{_PACKAGE}.{new}"), name)


def old_names(module: str) -> Callable[[str], Any]:
    """Return a ``__getattr__`` that finds the names a module defined in 0.2.

    Parameters
    ----------
    module : str
        ``__name__`` of the module.
    """
    return lambda name: moved_name(module, name)


class _Alias(Loader):
    """Loader that returns the module under its new name."""

    def __init__(self, new: str) -> None:
        self._new = new
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module by its new name, with a deprecation warning."""
        _warn(spec.name, self._new, stacklevel=3)
        module = import_module(self._new)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec, which the import system has overwritten."""
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    """Finder for modules by their old names, which no other module has."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the import spec of a module that has moved, or None."""
        new = new_name(fullname)
        return None if new is None else ModuleSpec(fullname, _Alias(new), is_package=True)


class _Hidden(ModuleType):
    """A package that only provides access to the old names below it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or new_name(f"{self.__name__}.{name}") is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return import_module(f"{self.__name__}.{name}")


def install() -> None:
    """Make the old names importable; a second call has no effect."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # Insert in front: the import system takes a folder that an update left behind, with only
        # bytecode in it, for a package.
        sys.meta_path.insert(0, _Finder())
        sys.modules.setdefault(_HIDDEN, _Hidden(_HIDDEN))
