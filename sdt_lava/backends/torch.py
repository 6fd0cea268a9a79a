"""Back end 'torch': the float model itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sdt_lava.backends.backend import Backend, simulator_names
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.result import Result
from sdt_lava.errors import ConfigError

if TYPE_CHECKING:
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer


class TorchBackend(Backend):
    """Runs float models."""

    name = "torch"
    runs_graphs = False

    def check(self, options: RunOptions) -> None:
        """Check options; a model has no states between samples, and no lowering."""
        super().check(options)
        given = {
            "reset": not options.reset,
            "shortcut": options.shortcut is not None,
            "sdsa": options.sdsa is not None,
        }
        for option, is_given in given.items():
            if is_given:
                found = f"an option that back end {self.name!r} does not have"
                raise ConfigError(option, found, f"one of {simulator_names()}")

    def simulate(self, net: SpikeDrivenTransformer, x: Any, options: RunOptions) -> Result:
        """Run a model on some input; see :class:`~sdt_lava.backends.backend.Backend`."""
        # Imported here: it needs torch, and `import sdt_lava` does not.
        from sdt_lava.families.run import run_model

        started = time.perf_counter()
        logits, spikes = run_model(net, x, options.batch_size)
        return Result(self.name, logits, spikes, time.perf_counter() - started)
