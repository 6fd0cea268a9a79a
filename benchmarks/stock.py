"""Networks as lava-dl's SLAYER exports them, and lava-dl's own netx to run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder

# Share of a layer's sums that exceed its threshold: neurons with a leak of 1/4 then fire in one
# step of five to ten.
_SUMS_ABOVE = 0.12
_LEAK = 0.25
_CALIBRATION_STEPS = 8
# Standard deviation of weights, of which 4 is the largest that eight bits hold here.
_WEIGHT_SPREAD = 0.7
# Sums from which a threshold is estimated.
_MOST_SUMS = 10**6


@dataclass(frozen=True)
class Layer:
    """A layer of a chain: a convolution, or dense if it has no kernel."""

    outputs: int
    kernel: int = 0
    stride: int = 1


# NVIDIA's PilotNet (Bojarski et al. 2016), without its padding and pooling: there is none.
PILOTNET = (
    *(Layer(outputs, 5, 2) for outputs in (24, 36, 48)),
    *(Layer(64, 3) for _ in range(2)),
    *(Layer(outputs) for outputs in (100, 50, 10, 1)),
)
PILOTNET_INPUT = (3, 66, 200)


def export_chain(
    path: Path, layers: Sequence[Layer], shape: tuple[int, ...], seed: int = 0
) -> None:
    """Write a SLAYER network of random weights, with thresholds set so that all layers are alive.

    Parameters
    ----------
    path : Path
        File to write.
    layers : sequence of Layer
        The chain.
    shape : tuple of int
        Shape of its binary input, ``(C, H, W)`` or ``(features,)``.
    seed : int
        Of weights and input.

    """
    torch.manual_seed(seed)
    frames = random_spikes(shape, _CALIBRATION_STEPS, 1, seed)
    events = torch.from_numpy(np.moveaxis(frames[:, 0], 0, -1)[None]).float()
    blocks: list[Any] = []
    with torch.no_grad():
        for layer in layers:
            if not layer.kernel and events.ndim == 5:
                blocks.append(slayer.block.cuba.Flatten())
                events = blocks[-1](events)
            blocks.append(_calibrated(layer, events))
            events = blocks[-1](events)
    with h5py.File(path, "w") as file:
        group = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(group.create_group(f"{index}"))


def random_spikes(shape: tuple[int, ...], steps: int, samples: int, seed: int = 0) -> np.ndarray:
    """Return spikes ``(T, B, *shape)`` at a rate between 0 and 0.4 of each input."""
    rng = np.random.default_rng(seed)
    rates = 0.4 * rng.random(shape)
    return (rng.random((steps, samples, *shape)) < rates).astype(np.int64)


def _calibrated(layer: Layer, events: torch.Tensor) -> Any:
    """Make a block whose threshold the given share of its sums exceeds."""
    block = _block(layer, events.shape[1], 1.0)
    weight = torch.randn_like(block.synapse.weight) * _WEIGHT_SPREAD
    block.synapse.weight.copy_(weight)
    sums = block.synapse(events).flatten()
    share = sums[:: 1 + sums.numel() // _MOST_SUMS]
    made = _block(layer, events.shape[1], max(float(share.quantile(1 - _SUMS_ABOVE)), 0.1))
    made.synapse.weight.copy_(weight)
    return made


def _block(layer: Layer, inputs: int, threshold: float) -> Any:
    neuron = {"threshold": threshold, "current_decay": 1.0, "voltage_decay": _LEAK}
    if layer.kernel:
        return slayer.block.cuba.Conv(
            neuron, inputs, layer.outputs, layer.kernel, stride=layer.stride, delay_shift=False
        )
    return slayer.block.cuba.Dense(neuron, inputs, layer.outputs, delay_shift=False)


class StockNetwork:
    """A file in lava-dl's ``netx.hdf5.Network``, run by Lava's own runtime.

    Parameters
    ----------
    path : Path
        The network.
    frames : ndarray of int
        ``(T, B, *shape)``; samples follow one another.
    folder : Path
        Existing folder for recordings.
    layers : sequence of int
        Layers to record, counted from the end if negative.
    """

    def __init__(self, path: Path, frames: np.ndarray, folder: Path, layers: Sequence[int]) -> None:
        shape = frames.shape[2:][::-1]  # (C, H, W) is (W, H, C) here
        self._network = hdf5.Network(
            str(path), input_shape=shape, reset_interval=frames.shape[0], reset_offset=1
        )
        steps = frames.swapaxes(0, 1).reshape(-1, *frames.shape[2:])
        turned = steps.transpose(0, *range(steps.ndim - 1, 0, -1)).reshape(len(steps), -1)
        np.save(folder / "stock.npy", turned.astype(np.int32))
        self._source = FrameSource(folder / "stock.npy")
        self._source.s_out.reshape(self._network.inp.shape).connect(self._network.inp)
        self._ports = {layer: self._network.layers[layer].out for layer in layers}
        signals = {f"{n}": RecordedSignal(int(np.prod(p.shape))) for n, p in self._ports.items()}
        self._recorder = SpikeRecorder(signals, folder, len(steps))
        for layer, port in self._ports.items():
            port.flatten().connect(self._recorder.port(f"{layer}"))

    def run(self, steps: int) -> None:
        """Run time steps; the first call compiles and starts."""
        self._source.run(RunSteps(num_steps=steps), Loihi2SimCfg(select_tag="fixed_pt"))

    def recorded(self, layer: int) -> np.ndarray:
        """Return the spikes of a layer, ``(steps, n)`` in the order of ``(C, H, W)``."""
        shape = self._ports[layer].shape
        spikes = self._recorder.read(f"{layer}").reshape(-1, *shape)
        return spikes.transpose(0, *range(len(shape), 0, -1)).reshape(len(spikes), -1)

    def stop(self) -> None:
        """End all processes."""
        self._source.stop()
