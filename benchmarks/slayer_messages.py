"""A sigma-delta network's file as blocks of lava-dl's SLAYER, and the messages that they send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer
from numpy.typing import NDArray

_BLOCK = slayer.block.sigma_delta
# Integers of a file in one unit of SLAYER's; levels of a message and of a state in one unit.
_WEIGHT, _MESSAGE, _STATE = 1 << 6, 1 << 12, 1 << 18


def slayer_messages(path: Path, x: NDArray[np.floating[Any]]) -> list[NDArray[np.float64]]:
    """Run a chain of encoders, convolutions and dense layers in SLAYER's own forward pass.

    Parameters
    ----------
    path : Path
        A file of such a network, with a decoder at its end.
    x : ndarray
        ``(B, T, *shape)``, in real units.

    Returns
    -------
    list of ndarray
        What each layer of neurons sent, ``(T, B, *shape)``, in integer levels.

    Raises
    ------
    ValueError
        If the file has layers of other kinds.
    """
    with h5py.File(path) as file:
        layers = [file["layer"][f"{index}"] for index in range(len(file["layer"]))]
        blocks = [_MAKERS[_kind(layer)](layer) for layer in layers]
    for block in blocks:
        if hasattr(block, "neuron"):
            # Training keeps thresholds above 0; a file cuts off what they are below 1/64.
            block.neuron.delta.clamp = lambda: None
    signal = torch.from_numpy(np.moveaxis(x, 1, -1).astype(np.float32))
    sent = []
    with torch.no_grad():
        for block in blocks:
            signal = block.eval()(signal)
            if hasattr(block, "neuron"):
                levels = _STATE if isinstance(block, _BLOCK.Output) else _MESSAGE
                sent.append(np.moveaxis(signal.numpy(), -1, 0).astype(np.float64) * levels)
    return sent


def _kind(layer: Any) -> str:
    kind = layer["type"][0].decode()
    if kind == "dense" and "neuron/sigma_output" in layer:
        return "output"
    if kind not in _MAKERS:
        raise ValueError(f"layers of kind {kind}")
    return str(kind)


def _neurons(layer: Any) -> dict[str, Any]:
    if layer["neuron/activation"][()] != b"relu":
        raise ValueError("neurons without a rectification")
    fields: dict[str, Any] = {
        "threshold": float(layer["neuron/vThMant"][()]) / _WEIGHT,
        "activation": torch.relu,
    }
    if "bias" in layer:
        fields["norm"] = slayer.neuron.norm.MeanOnlyBatchNorm
    return fields


def _with_numbers(block: Any, layer: Any) -> Any:
    weight = torch.from_numpy(layer["weight"][()].astype(np.float32)) / _WEIGHT
    block.synapse.weight.data = weight.reshape(block.synapse.weight.shape)
    if "bias" in layer:
        # A normalisation whose mean is subtracted is how SLAYER has a bias.
        bias = torch.from_numpy(layer["bias"][()].astype(np.float32)) / _WEIGHT
        block.neuron.norm.running_mean = -bias
    return block


def _encoder(layer: Any) -> Any:
    if "weight" in layer or "bias" in layer:
        raise ValueError("encoders with a weight or a bias")
    return _BLOCK.Input(_neurons(layer))


def _convolution(layer: Any) -> Any:
    out, inputs, *kernel = layer["weight"].shape
    groups = int(layer["groups"][()])
    windows = {
        name: tuple(int(side) for side in layer[name]) for name in ("stride", "padding", "dilation")
    }
    block = _BLOCK.Conv(
        _neurons(layer), inputs * groups, out, tuple(kernel), groups=groups, **windows
    )
    return _with_numbers(block, layer)


def _dense(layer: Any) -> Any:
    out, inputs = layer["weight"].shape
    return _with_numbers(_BLOCK.Dense(_neurons(layer), inputs, out), layer)


def _output(layer: Any) -> Any:
    out, inputs = layer["weight"].shape
    return _with_numbers(_BLOCK.Output(_neurons(layer), inputs, out), layer)


def _flatten(layer: Any) -> Any:
    return _BLOCK.Flatten()


_MAKERS = {
    "input": _encoder,
    "conv": _convolution,
    "dense": _dense,
    "output": _output,
    "flatten": _flatten,
}
