"""Layers of a plan: synaptic sums, residual stream, neurons and spikes in one operation.

Each piece of work (some rows of one image, all steps) is done by the event-driven kernel or by the
layer's dense kernel, whichever the number of spikes that arrive makes faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sdt_lava.simulate.engine.dense import DenseKernel
from sdt_lava.simulate.engine.kernels.events import event_rows
from sdt_lava.simulate.engine.kernels.neurons import fire_rows
from sdt_lava.simulate.engine.kernels.pooling import count_spikes, spread_rows
from sdt_lava.simulate.engine.kernels.vectors import SLACK, STORED_CHANNELS
from sdt_lava.simulate.engine.layout import LANES, Layout
from sdt_lava.simulate.engine.plan.neurons import MODES, Neurons, kernel_parameters
from sdt_lava.simulate.engine.plan.operation import (
    Buffer,
    Operation,
    Reading,
    Rows,
    Spikes,
    Task,
    same_rows,
    window_rows,
)
from sdt_lava.simulate.engine.synapses import Synapses, aligned_empty, without_groups

if TYPE_CHECKING:
    from sdt_lava.simulate.engine.plan.workspace import Workspace

# Rows are processed together until the sums of a piece reach about this size [bytes]: they stay in
# a core's second-level cache.
_PIECE_BYTES = 1 << 18
# A dense operator has a cost of its own for each piece.
_DENSE_PIECE_BYTES = 1 << 21
# Events are numbered with 16 bits.
MOST_ROWS = 1 << 16


@dataclass(frozen=True)
class Targets:
    """What becomes of a layer's currents.

    Parameters
    ----------
    layout : Layout
        Their shape.
    stream : Buffer or None
        Currents that are added: the membrane shortcut.
    current : Buffer or None
        Where the sum is stored, if somebody else reads it.
    spikes : Buffer or None
        Where the neurons' spikes go.
    neurons : Neurons or None
        The neurons.
    """

    layout: Layout
    stream: Buffer | None = None
    current: Buffer | None = None
    spikes: Buffer | None = None
    neurons: Neurons | None = None

    def readings(self) -> list[Reading]:
        """Return what is read besides the layer's input."""
        return [Reading(self.stream, same_rows)] if self.stream else []

    def writings(self) -> list[Buffer]:
        """Return what is written."""
        return [buffer for buffer in (self.current, self.spikes) if buffer]

    @property
    def in_place(self) -> tuple[Buffer, Buffer] | None:
        """The stream before and after, which may share memory."""
        return (self.stream, self.current) if self.stream and self.current else None

    @property
    def mode(self) -> int:
        """How the neurons are computed."""
        return self.neurons.mode if self.neurons else 0


class Firing:
    """The arguments of the kernels that say what becomes of a layer's sums, in one workspace."""

    def __init__(self, targets: Targets, shift: Any, work: Workspace) -> None:
        self.parameters = kernel_parameters(shift, targets.neurons, targets.layout)
        self.neuron = self.parameters.ctypes.data
        self._extremes = work.new_extremes(targets)
        self.extremes = [extremes.ctypes.data for extremes in self._extremes]
        state = work.state(targets)
        self.targets = []
        for waste in work.waste:
            stream = work.zeros if targets.stream is None else work.arrays[targets.stream.name]
            written = [
                waste if buffer is None else work.arrays[buffer.name]
                for buffer in (targets.current, targets.spikes)
            ]
            states = (work.zeros, waste) if state is None else (state, state)
            arrays = (stream, *written, *states)
            self.targets.append(tuple(array.ctypes.data for array in arrays))
        self.sizes = (work.steps, targets.layout.width, targets.layout.words)
        self.options = (
            int(targets.stream is not None),
            int(targets.current is not None),
            int(targets.spikes is not None),
            int(state is not None),
            # Only checked neurons load and store a state.
            max(targets.mode, MODES.index("checked") * (state is not None)),
        )


def list_room(source: Layout) -> int:
    """Return the room that the list of one row and step may take."""
    return source.width * source.padded + SLACK


class EventKernel:
    """Weights of a layer as the event-driven kernel reads them: tiles of output channels."""

    def __init__(self, synapses: Synapses) -> None:
        self.synapses = synapses
        weight = without_groups(synapses).transpose(0, 2, 3, 1).reshape(len(synapses.mantissa), -1)
        outputs, rows = weight.shape
        # Wide tiles list the events less often, narrow ones waste less of the last tile.
        narrow, wide = -(-outputs // LANES) * LANES, -(-outputs // (2 * LANES)) * 2 * LANES
        self.width = 2 * LANES if wide == narrow else LANES
        self.tiles = -(-outputs // self.width)
        padded = np.zeros((self.tiles * self.width, rows), np.int8)
        padded[:outputs] = weight
        by_word = padded.reshape(self.tiles, self.width // LANES, LANES, rows)
        stored = by_word[:, :, list(STORED_CHANNELS)].reshape(self.tiles, self.width, rows)
        self.weights = aligned_empty((self.tiles, rows, self.width), np.int8)
        self.weights[...] = stored.transpose(0, 2, 1)

    def rows_together(self, steps: int) -> int:
        """Output rows whose sums of one tile fill a piece."""
        row = steps * self.synapses.target.width * self.width * 4
        return max(1, min(self.synapses.target.height, _PIECE_BYTES // row))

    def scratch_sizes(self, steps: int) -> dict[str, int]:
        """Elements of the scratch arrays."""
        source, window = self.synapses.source, self.synapses.window
        positions = self.rows_together(steps) * steps * self.synapses.target.width
        lines = window.reach[0] * steps
        return {
            "lists": lines * list_room(source),
            "list_starts": lines * (source.width + 1),
            "events": positions * self.synapses.rows + SLACK,
            "starts": positions + 1,
            "sums": positions * self.width,
        }


class SynapticOperation(Operation):
    """One or several layers that read the same spikes or frames.

    Parameters
    ----------
    nodes : tuple of str
        What it computes.
    synapses : Synapses
        Weights.
    source : Spikes or Buffer
        Packed spikes, or the input's frames.
    targets : Targets
        Outputs.
    dense : DenseKernel
        The dense kernel.
    events : EventKernel or None
        The event-driven kernel, where the input is spikes.
    crossover : float
        Firing rate up to which the event-driven kernel is used.
    """

    kind = "synapses"

    def __init__(
        self, nodes: tuple[str, ...], synapses: Synapses, source: Spikes | Buffer,
        targets: Targets, dense: DenseKernel, events: EventKernel | None, crossover: float,
    ) -> None:  # fmt: skip
        super().__init__(nodes, synapses.target)
        self.synapses, self.source, self.targets = synapses, source, targets
        self.dense, self.events, self.crossover = dense, events, crossover
        window = synapses.window
        buffer = source if isinstance(source, Buffer) else source.buffer
        reading = window_rows(buffer, window.stride[0], window.padding[0], window.reach[0])
        self.reads = [reading, *targets.readings()]
        self.writes = targets.writings()
        self.in_place = targets.in_place
        self.usage = {"event": 0, dense.name: 0}

    def describe(self) -> str:
        """Return the kernels and the rate at which they change."""
        if self.events is None:
            return self.dense.name
        return f"event up to rate {self.crossover:.2f}, then {self.dense.name}"

    def bind(self, work: Workspace) -> Task:
        """Return the task that chooses the kernel for each piece."""
        firing = Firing(self.targets, self.synapses.shift, work)
        dense = _dense_task(self, firing, work)
        if self.events is None or not isinstance(self.source, Spikes):
            return self._counted(self.dense.name, dense)
        events = _event_task(self, self.events, firing, work)
        array = work.arrays[self.source.buffer.name]
        words = self.source.word_slice
        by_event, by_dense = self._counted("event", events), self._counted(self.dense.name, dense)
        needed = self.reads[0].rows
        height_in, height = self.source.layout.height, self.target.height
        values = work.steps * self.source.layout.width * self.source.layout.channels

        def run(rows: Rows, worker: int) -> None:
            for image, first, end in images(rows, height):
                low, high = needed(first, end)
                seen = array[image * height_in + low : image * height_in + max(low, high)]
                spikes = count_spikes(seen, words.start, words.stop)
                quiet = spikes <= self.crossover * values * len(seen)
                piece = image * height + first, image * height + end
                (by_event if quiet else by_dense)(piece, worker)

        return run

    def _counted(self, name: str, task: Task) -> Task:
        def run(rows: Rows, worker: int) -> None:
            self.usage[name] += 1
            task(rows, worker)

        return run


def images(rows: Rows, height: int) -> list[tuple[int, int, int]]:
    """Cut rows at the borders of images: number of the image, first row in it and the end."""
    first, end = rows
    return [
        (image, max(first - image * height, 0), min(end - image * height, height))
        for image in range(first // height, -(-end // height))
    ]


def _event_task(
    layer: SynapticOperation, kernel: EventKernel, firing: Firing, work: Workspace
) -> Task:
    synapses, spikes = layer.synapses, layer.source
    assert isinstance(spikes, Spikes)
    array = work.arrays[spikes.buffer.name]
    source, window = synapses.source, synapses.window
    signal = (
        work.steps, source.height, source.width, array.shape[-1], spikes.first_word, source.words,
        list_room(source),
    )  # fmt: skip
    geometry = (
        *window.kernel, *window.stride, *window.padding, *window.dilation, source.channels
    )  # fmt: skip
    tiles = (
        kernel.tiles, synapses.rows, kernel.width, synapses.target.height,
        kernel.rows_together(work.steps),
    )  # fmt: skip
    scratch = work.scratch(kernel.scratch_sizes(work.steps))
    words, weights = array.ctypes.data, kernel.weights.ctypes.data

    def run(rows: Rows, worker: int) -> None:
        event_rows(
            words, signal, geometry, weights, tiles, rows, firing.neuron, firing.targets[worker],
            firing.sizes, firing.options, (*scratch[worker], firing.extremes[worker]),
        )  # fmt: skip

    return run


def _dense_task(layer: SynapticOperation, firing: Firing, work: Workspace) -> Task:
    synapses = layer.synapses
    target, window = synapses.target, synapses.window
    read = _spread if isinstance(layer.source, Spikes) else _framed
    inputs = read(layer, work)
    different = work.steps if isinstance(layer.source, Spikes) else work.frame_steps
    per_row = different * target.width * target.padded * 4
    together = max(1, _DENSE_PIECE_BYTES // per_row)

    def piece(image: int, first: int, end: int, worker: int) -> None:
        top = first * window.stride[0] - window.padding[0]
        bottom = (end - 1) * window.stride[0] - window.padding[0] + window.reach[0]
        sums = _padded(layer.dense.sums(inputs(image, top, bottom)), target)
        # (T, rows, columns, channels); a frame that does not change has one step, seen T times.
        steps, height, columns, channels = sums.shape
        strides = (columns * channels, height * columns * channels * (steps > 1), channels)
        rows = image * target.height + first, image * target.height + end
        fire_rows(
            sums.ctypes.data, sums.dtype == np.float32, strides, rows, firing.neuron,
            firing.targets[worker], firing.sizes, firing.options, firing.extremes[worker],
        )  # fmt: skip

    def run(rows: Rows, worker: int) -> None:
        for image, first, end in images(rows, target.height):
            for start in range(first, end, together):
                piece(image, start, min(start + together, end), worker)

    return run


def _padded(sums: torch.Tensor, target: Layout) -> np.ndarray:
    """Return sums as ``(T, rows, columns, padded channels)``, contiguous."""
    rows_first = sums.permute(0, 2, 3, 1)
    if target.padded == target.channels:
        return rows_first.contiguous().numpy()
    filled = torch.nn.functional.pad(rows_first, (0, target.padded - target.channels))
    return filled.contiguous().numpy()


def _spread(layer: SynapticOperation, work: Workspace) -> Any:
    """Return what gives the dense kernel some rows of packed spikes."""
    spikes, window = layer.source, layer.synapses.window
    assert isinstance(spikes, Spikes)
    array, source = work.arrays[spikes.buffer.name], spikes.layout
    padding, kind = window.padding[1], layer.dense.events

    def inputs(image: int, top: int, bottom: int) -> torch.Tensor:
        shape = (work.steps, bottom - top, source.width + 2 * padding, source.padded)
        values = np.empty(shape, np.uint8)
        place = (image * source.height, source.height, top)
        spread_rows(array, spikes.first_word, source.words, place, padding, values)
        events = torch.from_numpy(values)[..., : source.channels].permute(0, 3, 1, 2)
        return events.to(kind).contiguous(memory_format=torch.channels_last)

    return inputs


def _framed(layer: SynapticOperation, work: Workspace) -> Any:
    """Return what gives the dense kernel some rows of the input's frames."""
    assert isinstance(layer.source, Buffer)
    source, window = layer.source.layout, layer.synapses.window
    frames = work.arrays[layer.source.name].reshape(
        -1, source.height, work.frame_steps, source.width, source.channels
    )
    left = window.padding[1]

    def inputs(image: int, top: int, bottom: int) -> torch.Tensor:
        shape = (work.frame_steps, bottom - top, source.width + 2 * left, source.channels)
        values = np.zeros(shape, np.float32)
        first = max(top, 0)
        end = max(min(bottom, source.height), first)
        seen = frames[image, first:end].transpose(1, 0, 2, 3)
        values[:, first - top : end - top, left : left + source.width] = seen
        events = torch.from_numpy(values).permute(0, 3, 1, 2)
        return events.to(layer.dense.events).contiguous(memory_format=torch.channels_last)

    return inputs


def dense_piece_bytes(synapses: Synapses, steps: int) -> int:
    """Memory that one piece of a dense kernel takes, input and output."""
    target, source = synapses.target, synapses.source
    row = steps * target.width * target.padded * 4
    rows = max(1, min(target.height, _DENSE_PIECE_BYTES // row))
    wide = source.width + 2 * synapses.window.padding[1]
    input_rows = rows * synapses.window.stride[0] + synapses.window.reach[0]
    return rows * row + prod((steps, input_rows, wide, source.padded)) * 4
