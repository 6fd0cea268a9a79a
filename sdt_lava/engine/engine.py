"""Run integer graphs with a compiled plan if possible, otherwise with the interpreter."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdt_lava.engine.batches import batch_size, frame_steps_of, holds
from sdt_lava.engine.fallback import joined, outcome_of, wanted
from sdt_lava.engine.options import EngineOptions
from sdt_lava.engine.plan.buffers import Run
from sdt_lava.engine.plan.entry import can_pack
from sdt_lava.engine.plan.operation import Operation
from sdt_lava.engine.plan.plan import Outcome, Plan
from sdt_lava.engine.plan.states import load_states, packs_states, save_states
from sdt_lava.engine.plan.team import one_thread_each
from sdt_lava.engine.planner import Planner
from sdt_lava.engine.registry import Context
from sdt_lava.engine.request import RunRequest, RunResult
from sdt_lava.engine.trials import SIGNALS, passes
from sdt_lava.errors import HardwareUnavailableError
from sdt_lava.ir import Graph, MessageNeurons, Node
from sdt_lava.ir.batches import parts, sample_bytes, samples_at_once
from sdt_lava.ir.bounds import Extremes, bound
from sdt_lava.ir.numerics import ACTIVATION_LIMIT, STATE_LIMIT, IntArray, NeuronStates
from sdt_lava.ir.proof import unproved_currents
from sdt_lava.ir.registers import relayed_currents
from sdt_lava.ir.sigma_delta_runs import starting_states
from sdt_lava.ir.states import check_states
from sdt_lava.ir.watch import Watch
from sdt_lava.support.allocation import guarding
from sdt_lava.support.forks import ForkSafeLock
from sdt_lava.support.torch_use import default_threads, exact_if_loaded

logger = logging.getLogger(__name__)

# Below this many multiplications per batch, threads cost more than they save.
_WORTH_THREADS = 20_000_000
_NOTHING: Mapping[str, IntArray] = {}


def _is_interpreted(node: Node) -> bool:
    """Return whether graphs with this node do not benefit from kernels.

    Connections of compiled graphs are matrices, for which the interpreter is equally fast. No
    kernel supports the messages of sigma-delta neurons, which are as wide as the state.
    """
    return node.is_compiled_only or isinstance(node, MessageNeurons)


class Engine:
    """Executor of one integer graph.

    Compiled plans are cached in the graph, so another engine on the same graph starts at once.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    strict : bool
        Whether to raise an error if a value does not fit its register
        (:mod:`sdt_lava.ir.registers`). Otherwise, values wrap and saturate as in Lava.
    tracked : bool
        Whether to collect `extremes`.
    options : EngineOptions
        Kernels, threads and memory.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        strict: bool = True,
        tracked: bool = True,
        options: EngineOptions | None = None,
    ) -> None:
        self.graph = graph
        self.options = options or EngineOptions()
        self.tracked = tracked
        self._strict, self._device = strict, _checked_device(self.options.device)
        self._planner = Planner(graph, self.options)
        self._extremes: dict[str, Extremes] = {}
        self._noting = ForkSafeLock()

    @property
    def extremes(self) -> dict[str, Extremes]:
        """Largest magnitudes in each population of neurons, over all runs."""
        return self._extremes

    def plan(self, keep: Iterable[str] | None = None) -> Plan:
        """Return the compiled plan for the output of some nodes, by default of all."""
        return self._plan(self.graph.nodes if keep is None else keep, 0, 1)

    def run(
        self, frames: NDArray[Any], want: Iterable[str] | RunRequest | None = None
    ) -> RunResult:
        """Evaluate the graph in batches that fit the memory limit.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        want : iterable of str or RunRequest, optional
            Nodes whose output is returned, by default all, or a full request.

        Returns
        -------
        RunResult
            Outputs ``(T, B, *shape)`` by name, and counts.

        Raises
        ------
        ConfigError
            If a single sample exceeds the memory limit.
        DataError
            If the states do not fit these neurons or the number of samples.
        NumericOverflowError
            If ``strict`` is True and a value does not fit its register.
        """
        request = want if isinstance(want, RunRequest) else RunRequest(want)
        names = frozenset(self.graph.nodes if request.names is None else request.names)
        outcomes = []
        for outcome, done in self._outcomes(frames, names, request):
            outcomes.append(outcome)
            if not outcome.is_binary:
                break
            if request.on_batch is not None:
                request.on_batch(done)
        return RunResult.of([name for name in self.graph.order if name in names], outcomes)

    def _outcomes(
        self, frames: NDArray[Any], names: frozenset[str], request: RunRequest
    ) -> Iterator[tuple[Outcome, int]]:
        """Yield the outcome of each batch and the number of samples done."""
        steps, samples = frames.shape[:2]
        states = request.states
        frame_steps = steps if request.is_raw else frame_steps_of(frames)
        check_states(self.graph, states or {}, samples)
        is_planned = not request.recorded and self._is_planned(
            frames, states, frame_steps, in_range=request.in_range or request.is_raw
        )
        if is_planned:
            tracked = states is not None
            plan = self._plan(names, steps, samples, tracked=tracked, counted=request.counted)
            size = samples if tracked else self._batch_size(plan, frames, frame_steps)
            for part, done in parts(frames, size):
                yield self._run_batch(plan, part, states, frame_steps), done
            return
        size = self.options.batch_size or self._samples_interpreted(frames)
        if states is not None or request.recorded or not samples:
            size = max(samples, 1)
        for part, done in parts(frames, size) if samples else ((frames, 0),):
            values = self._interpret(part, names, request.recorded, states)
            yield Outcome.of(values, names), done

    def can_pack(self, values: NDArray[Any], want: RunRequest) -> bool:
        """Return whether a run accepts an unencoded input; see `RunRequest.is_raw`.

        Parameters
        ----------
        values : ndarray
            Input ``(T, B, *shape)`` of any type.
        want : RunRequest
            Request of the run, which includes the output of the input node.
        """
        entry = self.graph.input
        takes_spikes = (entry.low, entry.high, entry.scale, entry.offset) == (0, 1, 1, 0)
        if not takes_spikes or not can_pack(values.dtype) or want.names is None:
            return False
        if not self._is_planned(values, None, len(values), in_range=True):
            return False
        return self._plan(want.names, *values.shape[:2], counted=want.counted).packs_input

    def can_count(self, frames: IntArray, *, in_range: bool = False) -> bool:
        """Return whether a run can count events; see `RunRequest.counted`.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        in_range : bool
            As for :class:`~sdt_lava.engine.request.RunRequest`.
        """
        # Differences between steps matter only if the range of values is checked.
        frame_steps = len(frames) if in_range else frame_steps_of(frames)
        return self._is_planned(frames, None, frame_steps, in_range=in_range)

    def _plan(
        self,
        keep: Iterable[str],
        steps: int,
        samples: int,
        *,
        tracked: bool = False,
        counted: Mapping[str, IntArray] = _NOTHING,
    ) -> Plan:
        tracked = tracked or self.tracked
        return self._planner.plan(keep, steps, samples, tracked=tracked, counted=counted)

    def _is_planned(
        self,
        frames: IntArray,
        states: NeuronStates | None,
        frame_steps: int,
        *,
        in_range: bool = False,
    ) -> bool:
        if self.options.kernels == "interpreter" or not frames.size:
            return False
        if self.options.device != "cpu":
            return False
        if any(_is_interpreted(node) for node in self.graph):
            return False
        # The bounds that make a kernel exact are those of the declared input.
        if not in_range and not holds(self.graph.input, frames[:frame_steps]):
            return False
        return (states is None or packs_states(self.graph, states)) and passes(SIGNALS)

    def _interpret(
        self,
        frames: IntArray,
        keep: frozenset[str],
        spikes: Mapping[str, NDArray[Any]],
        states: NeuronStates | None,
    ) -> dict[str, IntArray]:
        from sdt_lava.engine.interpreter import Interpreter
        from sdt_lava.support.torch_state import exact_arithmetic

        context = self._context(states or {}, self._proved(frames, states))
        context.starts = starting_states(self.graph)
        with exact_arithmetic():
            values = frames.astype(np.int64, copy=False)
            outputs = Interpreter(self.graph, context).run(values, keep, spikes)
        self._note(context.extremes)
        if states is not None:
            states |= context.states
        return outputs

    def _context(self, states: NeuronStates, proved: frozenset[str]) -> Context:
        """Return the context that the nodes of a run share; the given states are not changed."""
        return Context(
            self._strict,
            states=dict(states),
            device=self._device,
            proved=proved,
            relayed=relayed_currents(self.graph),
            watch=Watch(self.graph.order),
        )

    def _note(self, extremes: Mapping[str, Extremes]) -> None:
        with self._noting.held():
            for name, extremes_seen in extremes.items():
                self._extremes[name] = extremes_seen.or_larger(self._extremes.get(name))

    def _proved(self, frames: IntArray, states: NeuronStates | None) -> frozenset[str]:
        """Return the nodes that need no check, which are none if the input is out of range."""
        graph = self.graph
        # Messages of sigma-delta neurons accumulate, and the length of a stream is unknown.
        endless = states is not None and bool(graph.message_names)
        if endless or not frames.size or not holds(graph.input, frames):
            return frozenset()
        if len(frames) > graph.timesteps and graph.message_names:
            graph = replace(graph, timesteps=self._planner.horizon(len(frames)))
        return frozenset(graph.nodes) - unproved_currents(graph, bound(graph)).keys()

    def _run_batch(
        self, plan: Plan, frames: IntArray, states: NeuronStates | None, frame_steps: int
    ) -> Outcome:
        run = self._sizes(plan, len(frames), frames.shape[1], frame_steps)
        kernels, packed = plan.populations, None
        # During a run, the state of a population belongs to either the kernels or the interpreter.
        interpreted_states = {
            name: state for name, state in (states or {}).items() if name not in kernels
        }
        context = self._context(interpreted_states, frozenset(self.graph.nodes) - plan.unproved)
        with guarding(self.options.guard), exact_if_loaded():
            if states is not None:
                packed = load_states(self.graph, states, kernels)
            outcome = plan.run(frames, run, context, packed)
        if not outcome.is_binary:
            return outcome
        may_overflow = context.watch.first is not None or outcome.is_suspicious
        if may_overflow or any(map(_overflows, outcome.extremes.values())):
            # The interpreter wraps as Lava does, or reports the first value that overflows.
            return self._compute_again(plan, frames, states)
        extremes = {
            names[0]: extremes for names, extremes in outcome.extremes.items() if len(names) == 1
        }
        self._note(context.extremes | extremes)
        if states is not None and packed is not None:
            states |= context.states
            save_states(self.graph, packed, states, frames.shape[1])
        return outcome

    def _compute_again(self, plan: Plan, frames: IntArray, states: NeuronStates | None) -> Outcome:
        keep = wanted(plan)
        size = frames.shape[1] if states is not None else self._samples_interpreted(frames)
        pieces = [part for part, _ in parts(frames, size)]
        values = joined(self._interpret(piece, keep, {}, states) for piece in pieces)
        return outcome_of(plan, values)

    def _sizes(self, plan: Plan, steps: int, batch: int, frame_steps: int) -> Run:
        threads = self.options.threads or default_threads()
        # Torch runs nodes without a kernel, with its own threads.
        worth = plan.macs * steps * batch >= _WORTH_THREADS and not plan.has_generic
        return Run(batch, steps, frame_steps, threads if worth else 1)

    def profile(self, frames: IntArray, keep: Iterable[str]) -> list[tuple[Operation, float]]:
        """Run one batch on one thread and return the operations with their durations in seconds.

        Parameters
        ----------
        frames : ndarray of int
            Input of the batch, ``(T, B, *shape)``, within the declared range.
        keep : iterable of str
            Nodes whose output is needed.
        """
        plan = self._plan(keep, *frames.shape[:2])
        run = self._sizes(plan, len(frames), frames.shape[1], frame_steps_of(frames))
        with guarding(self.options.guard), exact_if_loaded(), one_thread_each():
            context = self._context({}, frozenset(self.graph.nodes) - plan.unproved)
            return plan.profile(frames, run, context)

    def bytes_needed(self, frames: IntArray, keep: Iterable[str]) -> int:
        """Estimate the memory of kernel tables and arrays of one batch, without the graph.

        Parameters
        ----------
        frames : ndarray of int
            Input of the batch, ``(T, B, *shape)``.
        keep : iterable of str
            Nodes whose output is needed.
        """
        frame_steps = frame_steps_of(frames)
        if not self._is_planned(frames, None, frame_steps):
            return sample_bytes(self.graph, len(frames)) * frames.shape[1]
        plan = self._plan(keep, *frames.shape[:2])
        return plan.bytes_needed(self._sizes(plan, len(frames), frames.shape[1], frame_steps))

    def _batch_size(self, plan: Plan, frames: IntArray, frame_steps: int) -> int:
        steps, samples = frames.shape[:2]
        return batch_size(
            plan, samples, lambda size: self._sizes(plan, steps, size, frame_steps), self.options
        )

    def _samples_interpreted(self, frames: IntArray) -> int:
        return samples_at_once(self.graph, len(frames), self.options.memory)


def _checked_device(name: str) -> str:
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            found = "no GPU that torch can use is there"
            raise HardwareUnavailableError("device 'cuda'", found, remedy="leave --device out")
    return name


def _overflows(seen: Extremes) -> bool:
    return seen.activation > ACTIVATION_LIMIT or seen.membrane > STATE_LIMIT
