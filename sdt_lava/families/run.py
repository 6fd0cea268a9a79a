"""Run a float model, as it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdt_lava.datasets.objects import as_input
from sdt_lava.errors import ConfigError
from sdt_lava.ir.encoding import to_time_first, warn_of_steps
from sdt_lava.support.torch_state import evaluating, exact_arithmetic

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel


def run_model(
    model: FamilyModel, x: Any, batch_size: int | None = None
) -> tuple[NDArray[np.floating], dict[str, NDArray[np.uint8]]]:
    """Run a float model on some input.

    Parameters
    ----------
    model : FamilyModel
        The model; it is evaluated, not trained.
    x : array_like, Dataset or SampleSource
        Samples, as :func:`sdt_lava.simulate` takes them.
    batch_size : int, optional
        Samples at once; by default all of them.

    Returns
    -------
    logits : ndarray
        ``(B, classes)``: the mean over the time steps.
    spikes : dict of str to ndarray of uint8
        ``(T, B, *shape)`` for each LIF.

    Raises
    ------
    ConfigError
        If it is no model of ours.
    DataError
        If the input does not fit the model.
    """
    frame, timesteps = _takes(model)
    x = as_input(x)
    warn_of_steps(x, frame, timesteps)
    to_time_first(x, frame, timesteps)
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


def _takes(model: Any) -> tuple[tuple[int, ...], int]:
    """Return the shape of a frame and the number of steps that a model was made for."""
    if not hasattr(model, "config"):
        raise ConfigError(
            "network",
            f"an object of type {type(model).__name__}",
            "a network of load_network, or a model of load_model",
        )
    return (model.config.in_channels, *model.config.image_size), model.config.timesteps
