"""Back end 'torch': the float model itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.backend import Backend, simulator_names
from sdt_lava.backends.options import RunOptions
from sdt_lava.backends.result import Result
from sdt_lava.datasets.objects import as_input
from sdt_lava.errors import ConfigError
from sdt_lava.ir.encoding import to_time_first, warn_of_steps

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
        started = time.perf_counter()
        takes = _takes(net)
        x = as_input(x)
        warn_of_steps(x, *takes)
        to_time_first(x, *takes)
        logits, spikes = _run(net, x, options.batch_size)
        return Result(self.name, logits, spikes, time.perf_counter() - started)


def _takes(net: Any) -> tuple[tuple[int, ...], int]:
    """Return the shape of a frame and the number of steps that a model was made for."""
    if not hasattr(net, "config"):
        raise ConfigError(
            "network",
            f"an object of type {type(net).__name__}",
            "a network of load_network, or a model of load_model",
        )
    return (net.config.in_channels, *net.config.image_size), net.config.timesteps


def _run(
    model: SpikeDrivenTransformer, x: np.ndarray, batch_size: int | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    import torch

    from sdt_lava.support.torch_state import evaluating, exact_arithmetic

    # The model itself repeats static images. torch takes no negative steps, no foreign orders and
    # no arrays that it may not write to.
    values = np.require(x, np.float32, ["C", "A", "W"])
    size = batch_size or len(values)
    logits, spikes = [], []
    with evaluating(model):
        for start in range(0, len(values), size):
            record: dict[str, torch.Tensor] = {}
            with exact_arithmetic():
                part = torch.from_numpy(values[start : start + size])
                logits.append(model(part, record=record).numpy())
            spikes.append({name: s.to(torch.uint8).numpy() for name, s in record.items()})
    joined = {name: np.concatenate([p[name] for p in spikes], axis=1) for name in spikes[0]}
    return np.concatenate(logits), joined
