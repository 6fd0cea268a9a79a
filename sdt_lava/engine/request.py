"""What a run of the engine is asked for, and what it gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.plan.plan import Outcome, Output
from sdt_lava.ir.numerics import IntArray, NeuronStates


@dataclass(frozen=True, eq=False)
class RunRequest:
    """What is wanted of a run, and what is known of its input.

    Parameters
    ----------
    names : iterable of str, optional
        Nodes whose output is wanted; all of them by default.
    counted : mapping of str to ndarray
        Nodes whose events are counted, and the fan-out of their positions, ``(n, H, W)``, for `n`
        connections: only of an input for which :meth:`Engine.can_count` is true. Pass the same
        object again: what is compiled for it is kept.
    recorded : mapping of str to ndarray
        Recorded output of LIF nodes, used instead of simulating these neurons.
    states : dict of str to tuple of ndarray, optional
        u and v of each LIF, ``(B, *shape)``: where the run starts (0 where a name is missing) and,
        afterwards, where it ended, so that another run can go on from there. A run that raises
        leaves them as they were.
    in_range : bool
        Whether the input is known to be in the declared range, as after `encode`; otherwise it is
        looked at.
    is_raw : bool
        Whether the input is one of any type for which :meth:`Engine.can_pack` is true. It is
        neither copied nor looked at before; values that are no spikes are noticed when they are
        packed, and end the run.
    on_batch : callable, optional
        Called after each batch with the samples done so far.
    """

    names: Iterable[str] | None = None
    counted: Mapping[str, IntArray] = field(default_factory=dict)
    recorded: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    states: NeuronStates | None = None
    in_range: bool = False
    is_raw: bool = False
    on_batch: Callable[[int], object] | None = None


class RunResult(Mapping[str, NDArray[Any]]):
    """Output of the nodes that were wanted, by name, in the order of the network.

    ``(T, B, *shape)``: uint8 for spikes, int64 for anything else. It is kept as the kernels pack
    it; an array is made at the first access, and kept instead.

    Parameters
    ----------
    packed : mapping of str to sequence of Output
        What nodes sent, batch after batch.
    counts : mapping of str to ndarray of int64
        Events of each node that was counted, and what they reach by each connection,
        ``(1 + n, T, B)``.
    is_binary : bool
        Whether the spikes that entered were 0 and 1; if not, nothing else is valid.
    """

    def __init__(
        self,
        packed: Mapping[str, Sequence[Output]],
        counts: Mapping[str, IntArray] | None = None,
        is_binary: bool = True,
    ) -> None:
        self.counts, self.is_binary = counts or {}, is_binary
        self._packed = dict(packed)
        self._unpacked: dict[str, NDArray[Any]] = {}

    @classmethod
    def of(cls, names: Iterable[str], outcomes: Sequence[Outcome]) -> RunResult:
        """Return what batches gave, for some nodes."""
        if not all(outcome.is_binary for outcome in outcomes):
            return cls({}, is_binary=False)
        counted = outcomes[0].counts
        return cls(
            {name: [outcome.outputs[name] for outcome in outcomes] for name in names},
            {name: np.concatenate([o.counts[name] for o in outcomes], axis=2) for name in counted},
        )

    def packed(self, name: str) -> Sequence[Output]:
        """Return what a node sent as it was packed; nothing if it has been unpacked."""
        return self._packed[name]

    def only(self, names: Iterable[str]) -> RunResult:
        """Return the output of some nodes, by itself."""
        part = RunResult({name: self._packed[name] for name in names})
        part._unpacked = {name: self._unpacked[name] for name in part if name in self._unpacked}
        return part

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._unpacked:
            self._unpacked[name] = unpacked(self._packed[name])
            self._packed[name] = ()
        return self._unpacked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._packed)})"


def unpacked(batches: Sequence[Output]) -> NDArray[Any]:
    """Return what a node sent in all batches, ``(T, B, *shape)``."""
    parts = [output.unpack() for output in batches]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
