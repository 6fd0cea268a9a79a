"""Represent the result of a simulation on any back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.backends.execution import LavaExecution
from sdt_lava.backends.measured import Measured
from sdt_lava.backends.recorded import PackedFrames
from sdt_lava.backends.timing import Timing
from sdt_lava.backends.traits import Traits
from sdt_lava.counts.counts import Counts
from sdt_lava.counts.events import count_events
from sdt_lava.counts.fused_counts import fused_counts
from sdt_lava.counts.synops import SynopsTable, synops_table
from sdt_lava.errors import DataError
from sdt_lava.ir import Graph, Sigma
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.backends.deployment import Deployment


@dataclass(frozen=True, eq=False)
class Result:
    """Spikes, logits and counts of a run.

    Parameters
    ----------
    backend : str
        Back end that ran: 'reference', 'engine', 'machine', 'lava', 'lava-inprocess', 'loihi2' or
        'torch'.
    logits : ndarray
        Logits, ``(B, classes)``. For integer back ends, the readout summed over T, int64. Without a
        readout, the spike counts of the last layer or, if it never fires, its membranes in units of
        a weight. For sigma-delta networks, the sums of the output's messages. For 'torch', the
        float model's mean over T.
    spikes : mapping of str to ndarray of uint8
        Spikes of each LIF, named as in the model, ``(T, B, *shape)``.
    messages : mapping of str to ndarray of int32
        Graded messages of each population of sigma-delta neurons, with 0 for no message, and the
        values of the output's decoders at each step, ``(T, B, *shape)``.
    seconds : float
        Wall-clock time of the run.
    net : Graph or None
        Integer graph that ran; None for 'torch'.
    entered : ndarray of int64, PackedFrames or None
        Integer input ``(T, B, *shape)``; see `frames`.
    reset : bool
        Whether every sample started from rest.
    compiled : Deployment or None
        Compiled network that ran; None if the integer graph itself ran.
    measured : Measured or None
        Measurements of the board's instruments; None for a simulation.
    execution : LavaExecution or None
        Executor and ProcessModels of a Lava run, and the durations of its phases.
    counted : Counts or None
        Counts made during the run; None if events are counted on demand.
    traits : Traits
        Properties of the back end.
    """

    backend: str
    logits: NDArray[np.generic]
    spikes: Mapping[str, NDArray[np.uint8]]
    seconds: float
    net: Graph | None = field(default=None, repr=False)
    entered: IntArray | PackedFrames | None = field(default=None, repr=False)
    reset: bool = True
    compiled: Deployment | None = field(default=None, repr=False)
    measured: Measured | None = None
    execution: LavaExecution | None = field(default=None, repr=False)
    counted: Counts | None = field(default=None, repr=False)
    messages: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    traits: Traits = field(default=Traits(), repr=False)

    @property
    def sent(self) -> Mapping[str, NDArray[Any]]:
        """Spikes and messages of all populations of neurons with memory."""
        return {**self.spikes, **self.messages} if self.messages else self.spikes

    @property
    def outputs(self) -> NDArray[np.float64] | None:
        """Decoded output at each step in real units, ``(T, B, *shape)``.

        This is the output of the last layer of a sigma-delta network; None for other networks.
        """
        end = None if self.net is None else self.net.nodes[self.net.output_name]
        return self.messages[end.name] / end.scale if isinstance(end, Sigma) else None

    @cached_property
    def membranes(self) -> Mapping[str, IntArray]:
        """Membranes v of the last neurons after the last step of each sample, by name.

        Arrays ``(B, *shape)`` of int64 in units of 1/64 of a weight, as Lava's v; 0 after a spike.
        Empty for networks that do not end in spiking neurons.

        Raises
        ------
        DataError
            For the float model, whose membranes are not recorded.
        """
        from sdt_lava.backends.membranes import end_membranes

        net, frames = self.integer_run("membranes")
        return end_membranes(net, frames, self.sent, reset=self.reset)

    @property
    def is_membrane(self) -> bool:
        """Whether the logits are membranes, because the last neurons never fire."""
        from sdt_lava.backends.membranes import ends_in_membranes, last_neurons

        node = None if self.net is None else last_neurons(self.net)
        if self.net is None or node is None:
            return False
        samples = 1 if self.reset else len(self.logits)
        return ends_in_membranes(self.net, len(self.spikes[node.name]) * samples)

    def with_membranes(self) -> Result:
        """Return the result with membranes as logits, if the last neurons never fire."""
        from sdt_lava.backends.membranes import last_neurons, membrane_logits

        node = None if self.net is None else last_neurons(self.net)
        if node is None or not self.is_membrane:
            return self
        return replace(self, logits=membrane_logits(node, self.membranes[node.name]))

    @property
    def labels(self) -> NDArray[np.int64]:
        """Predicted class of each sample, ``(B,)``; ties go to the lowest index."""
        return np.argmax(self.logits, axis=1)

    @cached_property
    def frames(self) -> IntArray | None:
        """Integer input ``(T, B, *shape)`` of int64; None for 'torch'."""
        entered = self.entered
        return entered.unpack() if isinstance(entered, PackedFrames) else entered

    @cached_property
    def counts(self) -> Counts:
        """Exact counts by layer, step and sample of the network with the default lowering.

        The counts do not depend on the back end: residual streams are relays, and SDSA columns are
        neurons. Counts for another lowering are in `compiled_counts`.

        Raises
        ------
        DataError
            For the float model, whose operations are not the hardware's.
        """
        if self.counted is not None:
            return self.counted
        net, frames = self.integer_run("counts")
        if self.traits.is_plain:
            return count_events(net, frames, self.sent, plain=True)
        counts = None
        if self.reset:
            is_engines = self.traits.is_engine and self.compiled is None
            counts = fused_counts(net, frames, self.sent, is_engines=is_engines)
        return count_events(net, frames, self.sent) if counts is None else counts

    @cached_property
    def synops(self) -> SynopsTable:
        """Synaptic operations by layer of the network with the default lowering.

        Raises
        ------
        DataError
            For the float model, whose operations are not the hardware's.
        """
        return synops_table(self.counts)

    @cached_property
    def compiled_counts(self) -> Counts:
        """Exact counts of the compiled network that ran, which depend on its lowering.

        Raises
        ------
        DataError
            If no compiled network ran.
        """
        net, frames = self.integer_run("compiled_counts")
        if self.compiled is None:
            raise DataError(
                "result.compiled_counts",
                "a run of the integer graph itself",
                "a run on Lava or the machine, or with a lowering",
                "pass shortcut='relay' to simulate",
            )
        plain = self.traits.is_plain
        return count_events(net, frames, self.sent, self.compiled.graph, plain=plain)

    @cached_property
    def timing(self) -> Timing:
        """Latency on Lava and Loihi, and measured throughput.

        Raises
        ------
        DataError
            For the float model, which is not pipelined.
        """
        from sdt_lava.compiler.lowering import lower, output_population
        from sdt_lava.compiler.schedule import make_schedule

        net, frames = self.integer_run("timing")
        timesteps, samples = frames.shape[:2]
        schedule = self.compiled.schedule if self.compiled else make_schedule(lower(net), timesteps)
        end = self.compiled.output_name if self.compiled else output_population(net)
        machine_steps = schedule.machine_steps(samples)
        return Timing(
            timesteps=timesteps,
            samples=samples,
            latency=schedule.latency[end],
            steps=machine_steps if self.traits.is_pipelined else timesteps * samples,
            seconds=self.execution.seconds["run"] if self.execution else self.seconds,
        )

    def integer_run(self, what: str) -> tuple[Graph, IntArray]:
        """Return the network and input of a run on an integer back end.

        Raises
        ------
        DataError
            For the float model, from which `what` cannot be computed.
        """
        if self.net is None or self.frames is None:
            raise DataError(
                f"result.{what}",
                f"a result of backend {self.backend!r}",
                "integer back ends: reference, engine, machine, lava",
                "export the model and simulate the network",
            )
        return self.net, self.frames


def spike_differences(left: Result, right: Result) -> int:
    """Count the differing spikes and messages of two runs over all neurons, steps and samples.

    Raises
    ------
    DataError
        If the runs recorded different neurons.
    """
    ours, theirs = left.sent, right.sent
    if set(ours) != set(theirs):
        raise DataError(
            "results", f"recorded {sorted(ours)} and {sorted(theirs)}", "the same neurons"
        )
    return sum(int(np.count_nonzero(ours[name] != theirs[name])) for name in ours)
