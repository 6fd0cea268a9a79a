"""Run float models on back end 'torch'."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sdt_lava.backends.backend import Backend, simulator_names
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.result import Result
from sdt_lava.errors import ConfigError

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel


class TorchBackend(Backend):
    """Back end that runs float models."""

    name = "torch"
    runs_graphs = False

    def check(self, options: RunOptions) -> None:
        """Check options; a model has no states between samples and no lowering."""
        super().check(options)
        is_option_set = {
            "reset": not options.reset,
            "shortcut": options.shortcut is not None,
            "sdsa": options.sdsa is not None,
        }
        for option, is_set in is_option_set.items():
            if is_set:
                found = f"an option that back end {self.name!r} does not have"
                raise ConfigError(option, found, f"one of {simulator_names()}")

    def simulate(self, net: FamilyModel, x: Any, options: RunOptions) -> Result:
        """Run a model on an input; see :class:`~sdt_lava.backends.backend.Backend`."""
        # Imported here because it needs torch, which `import sdt_lava` must not import.
        from sdt_lava.families.run import run_model

        started = time.perf_counter()
        logits, spikes = run_model(net, x, options.batch_size)
        return Result(self.name, logits, spikes, time.perf_counter() - started)
