"""Define operations of a plan other than layers: sums, masks, pooling, conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.engine.layout import (
    Layout,
    load_currents,
    pack_spikes,
    store_currents,
    unpack_spikes,
)
from sdt_lava.engine.plan.buffers import (
    Buffer,
    Reading,
    Rows,
    Spikes,
    Task,
    all_rows,
    same_rows,
    window_rows,
)
from sdt_lava.engine.plan.firing import Firing
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.engine.plan.watching import STREAM_LIMIT, exceeds
from sdt_lava.engine.registry import evaluator
from sdt_lava.ir import Node, Pool, TokenMean, TokenSum
from sdt_lava.ir.numerics import INT32_HIGH
from sdt_lava.kernels.jit import resolved
from sdt_lava.kernels.neurons import SumArray, fire_rows
from sdt_lava.kernels.pooling import PoolWindow, max_pool_rows, or_pool_rows

if TYPE_CHECKING:
    from sdt_lava.engine.plan.workspace import Workspace


class CurrentOperation(Operation):
    """Operation for neurons or a shortcut on stored currents."""

    kind = "currents"

    def __init__(self, nodes: tuple[str, ...], source: Buffer, targets: Targets) -> None:
        super().__init__(nodes, targets.layout)
        self.source, self.targets = source, targets
        self.reads = [Reading(source, same_rows), *targets.readings()]
        self.writes = targets.writings()
        self.in_place, self.populations = targets.in_place, targets.populations

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        firing = Firing(self.targets, 0, work)
        _, steps, columns, channels = work.arrays[self.source.name].shape
        sums = SumArray(
            address=work.arrays[self.source.name].ctypes.data,
            first=0,
            row=steps * columns * channels,
            step=columns * channels,
            column=channels,
        )

        fire = resolved(fire_rows, sums, False, (0, 0), firing.arguments[0])

        def run(rows: Rows, worker: int) -> None:
            fire(sums, False, rows, firing.arguments[worker])

        return run


class AndOperation(Operation):
    """Operation for the mask of SDSA; the second input may have one value per channel."""

    kind = "and"

    def __init__(self, node: Node, left: Spikes, right: Spikes, out: Buffer) -> None:
        super().__init__((node.name,), out.layout)
        self.left, self.right, self.out = left, right, out
        self.broadcasts = right.layout.shape != left.layout.shape
        right_rows = all_rows(right.buffer) if self.broadcasts else None
        self.reads = [
            Reading(left.buffer, same_rows),
            right_rows or Reading(right.buffer, same_rows),
        ]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        left, right = work.spikes(self.left), work.spikes(self.right)
        out, height = work.arrays[self.out.name], self.target.height

        def run(rows: Rows, worker: int) -> None:
            first, end = rows
            mask = right[np.arange(first, end) // height] if self.broadcasts else right[first:end]
            np.bitwise_and(left[first:end], mask, out=out[first:end])

        return run


class AnyTokenOperation(Operation):
    """Operation for neurons that fire on any spike of a token sum, an OR without memory."""

    kind = "any token"

    def __init__(self, nodes: tuple[str, ...], sources: list[Spikes], out: Buffer) -> None:
        super().__init__(nodes, out.layout)
        self.sources, self.out = sources, out
        self.reads = [all_rows(source.buffer) for source in sources]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        sources, out = [work.spikes(source) for source in self.sources], work.arrays[self.out.name]
        height = self.sources[0].layout.height

        def run(rows: Rows, worker: int) -> None:
            for image in range(*rows):
                inside = slice(image * height, (image + 1) * height)
                spikes = sources[0][inside]
                for other in sources[1:]:
                    spikes = spikes & other[inside]
                np.bitwise_or.reduce(spikes, axis=(0, 2), out=out[image, :, 0])

        return run


class PoolOperation(Operation):
    """Operation for maxima over windows: an OR of spikes or the largest current."""

    kind = "pool"

    def __init__(self, node: Pool, source: Spikes | Buffer, out: Buffer) -> None:
        super().__init__((node.name,), out.layout)
        self.node, self.source, self.out = node, source, out
        buffer = source if isinstance(source, Buffer) else source.buffer
        self.height = buffer.layout.height
        self.reads = [window_rows(buffer, node.stride, node.padding, node.kernel)]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        node, out = self.node, work.arrays[self.out.name]
        window = PoolWindow(node.kernel, node.stride, node.padding, self.height, self.target.height)
        if isinstance(self.source, Spikes):
            source, pool = work.spikes(self.source), or_pool_rows
        else:
            source, pool = work.arrays[self.source.name], max_pool_rows

        compute = resolved(pool, source, window, (0, 0), out)

        def run(rows: Rows, worker: int) -> None:
            compute(source, window, rows, out)

        return run


class SubsampleOperation(Operation):
    """Operation that selects every ``stride``-th row and column of a current."""

    kind = "subsample"

    def __init__(self, node: Any, source: Buffer, out: Buffer) -> None:
        super().__init__((node.name,), out.layout)
        self.stride, self.source, self.out = node.stride, source, out
        self.reads = [window_rows(source, node.stride, 0, 1)]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        source, out = work.arrays[self.source.name], work.arrays[self.out.name]
        by_image = source.reshape(-1, self.source.layout.height, *source.shape[1:])
        selected = by_image[:, :: self.stride, :, :: self.stride]
        height = self.target.height

        def run(rows: Rows, worker: int) -> None:
            for row in range(*rows):
                out[row] = selected[row // height, row % height]

        return run


class TokenMeanOperation(Operation):
    """Operation that sums a residual stream over tokens and shifts the sum."""

    kind = "token mean"

    def __init__(self, node: TokenMean, source: Buffer, out: Buffer, watches: bool) -> None:
        super().__init__((node.name,), out.layout)
        self.node, self.source, self.out, self.watches = node, source, out, watches
        self.reads = [all_rows(source)]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        source, out = work.arrays[self.source.name], work.arrays[self.out.name]
        height = self.source.layout.height

        def run(rows: Rows, worker: int) -> None:
            for image in range(*rows):
                stream = source[image * height : (image + 1) * height]
                sums = stream.sum(axis=(0, 2), dtype=np.int64)
                if self.watches and (exceeds(stream, STREAM_LIMIT) or exceeds(sums, INT32_HIGH)):
                    work.is_suspicious = True
                out[image, :, 0] = sums >> self.node.shift

        return run


class TokenSumOperation(Operation):
    """Operation that multiplies the number of spiking tokens of a channel by a weight."""

    kind = "token sum"

    def __init__(self, node: TokenSum, source: Spikes, out: Buffer) -> None:
        super().__init__((node.name,), out.layout)
        self.weight, self.source, self.out = node.weight, source, out
        self.reads = [all_rows(source.buffer)]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        source, out = work.spikes(self.source), work.arrays[self.out.name]
        layout = self.source.layout

        def run(rows: Rows, worker: int) -> None:
            for image in range(*rows):
                spikes = source[image * layout.height : (image + 1) * layout.height]
                counts = unpack_spikes(spikes, layout, 1).sum(axis=(-2, -1), dtype=np.int64)
                out[image, :, 0, : layout.channels] = counts[:, 0] * self.weight
                out[image, :, 0, layout.channels :] = 0

        return run


class GenericOperation(Operation):
    """Exact evaluation of a node without a kernel on whole tensors ``(T, B, *shape)``."""

    kind = "generic"
    is_whole = True

    def __init__(self, node: Node, sources: list[Buffer], out: Buffer) -> None:
        super().__init__((node.name,), _WHOLE)
        self.node, self.sources, self.out = node, sources, out
        self.reads = [all_rows(source) for source in sources]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        from sdt_lava.support.torch_state import inside_torch

        evaluate = evaluator(type(self.node))

        def run(rows: Rows, worker: int) -> None:
            if rows[0] == 0 and rows[1] > 0:
                inputs = [work.tensors[source.name] for source in self.sources]
                with inside_torch():
                    sent = evaluate(self.node, inputs, work.context)
                if self.node.name in work.context.relayed:
                    sent = work.context.carried(self.node, sent)
                work.tensors[self.out.name] = sent

        return run


class ConvertOperation(Operation):
    """Operation that converts between packed signals and tensors."""

    kind = "convert"
    is_whole = True

    def __init__(self, nodes: tuple[str, ...], source: Spikes | Buffer, out: Buffer) -> None:
        super().__init__(nodes, _WHOLE)
        self.source, self.out = source, out
        self.reads = [all_rows(source.buffer if isinstance(source, Spikes) else source)]
        self.writes = [out]

    def bind(self, work: Workspace) -> Task:
        """Return the task."""
        convert = _CONVERSIONS[self.out.kind]

        def run(rows: Rows, worker: int) -> None:
            if rows[0] == 0 and rows[1] > 0:
                convert(self.source, self.out, work)

        return run


# Conversions and nodes without a kernel count as one row, which one worker computes.
_WHOLE = Layout(1, 1, 1, (1,))


def _to_tensor(source: Spikes | Buffer, out: Buffer, work: Workspace) -> None:
    import torch

    if isinstance(source, Spikes):
        words = work.spikes(source)
        values: np.ndarray = unpack_spikes(words, source.layout, work.batch)
    else:
        values = load_currents(work.arrays[source.name], source.layout, work.batch)
    work.tensors[out.name] = torch.from_numpy(values)


def _to_spikes(source: Spikes | Buffer, out: Buffer, work: Workspace) -> None:
    assert isinstance(source, Buffer)
    pack_spikes(work.tensors[source.name].numpy(), out.layout, work.arrays[out.name])


def _to_currents(source: Spikes | Buffer, out: Buffer, work: Workspace) -> None:
    assert isinstance(source, Buffer)
    store_currents(work.tensors[source.name].numpy(), out.layout, work.arrays[out.name])


_CONVERSIONS: dict[str, Callable[[Spikes | Buffer, Buffer, Any], None]] = {
    "tensor": _to_tensor,
    "spikes": _to_spikes,
    "currents": _to_currents,
}
