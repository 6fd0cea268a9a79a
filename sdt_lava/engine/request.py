"""Define the request and the result of a run of the engine."""

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
    """Requested outputs of a run, and properties of its input.

    Parameters
    ----------
    names : iterable of str, optional
        Nodes whose output is returned; by default all.
    counted : mapping of str to ndarray
        Nodes whose events are counted, with the fan-out of their positions for `n` connections,
        ``(n, H, W)``. Requires an input for which :meth:`Engine.can_count` is True. Reuse the same
        object, since compiled plans are cached for it.
    recorded : mapping of str to ndarray
        Recorded output of LIF nodes, used instead of simulating these neurons.
    states : dict of str to tuple of ndarray, optional
        States u and v of each LIF, ``(B, *shape)``, before the run (0 if missing). They are updated
        to the states after the run, from which another run can continue. If the run raises an
        error, they are not changed.
    in_range : bool
        Whether the input is known to be in the declared range, as after `encode`; otherwise, it is
        checked.
    is_raw : bool
        Whether the input may have any type for which :meth:`Engine.can_pack` is True. It is neither
        copied nor checked beforehand; non-binary values are detected during packing and stop the
        run.
    on_batch : callable, optional
        Function called after each batch with the number of samples done.
    """

    names: Iterable[str] | None = None
    counted: Mapping[str, IntArray] = field(default_factory=dict)
    recorded: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    states: NeuronStates | None = None
    in_range: bool = False
    is_raw: bool = False
    on_batch: Callable[[int], object] | None = None


class RunResult(Mapping[str, NDArray[Any]]):
    """Output of the requested nodes by name, in the order of the network.

    Arrays ``(T, B, *shape)`` are uint8 for spikes and int64 for other signals. The output is stored
    in the packed form of the kernels until the first access, which replaces it by an array.

    Parameters
    ----------
    packed : mapping of str to sequence of Output
        Packed output of nodes for each batch.
    counts : mapping of str to ndarray of int64
        Counts of events of each counted node, and of the synapses that they reach over each
        connection, ``(1 + n, T, B)``.
    is_binary : bool
        Whether all input values were 0 or 1; if not, the rest of the result is invalid.
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
        """Return the result of batches for some nodes."""
        if not all(outcome.is_binary for outcome in outcomes):
            return cls({}, is_binary=False)
        counted = outcomes[0].counts
        return cls(
            {name: [outcome.outputs[name] for outcome in outcomes] for name in names},
            {name: np.concatenate([o.counts[name] for o in outcomes], axis=2) for name in counted},
        )

    def packed(self, name: str) -> Sequence[Output]:
        """Return the packed output of a node, which is empty if it has been unpacked."""
        return self._packed[name]

    def only(self, names: Iterable[str]) -> RunResult:
        """Return a result with the output of some nodes only."""
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
    """Return the output of a node in all batches, ``(T, B, *shape)``."""
    parts = [output.unpack() for output in batches]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
