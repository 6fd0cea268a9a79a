"""Ways to run a network: which there are, which of them a case takes, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import sdt_lava
from sdt_lava.backends.board import HardwareOptions
from sdt_lava.backends.lava.presence import has_lava
from sdt_lava.compiler.compile import CONVOLUTIONS
from sdt_lava.counts.events import count_events
from sdt_lava.engine import KERNELS, Engine, EngineOptions, RunRequest
from sdt_lava.errors import CompileError
from sdt_lava.ir.reference import run_reference
from sdt_lava.support.allocation import GUARDS, guarding
from tests.attack.networks import Case
from tests.backends.odd_arrays import FORMS

MODELS = ("lava", "accelerated", "fused-blocks", "fused")
SHORTCUTS = ("relay", "unrolled", "auto")
COLUMNS = ("and", "column-gate", "columnless", "single-gate", "auto")
_INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8")
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Way:
    """A way to run a case.

    Parameters
    ----------
    executor : str
        'kernels' (`Engine`), 'simulate', 'lowered', 'lava' or 'machine'.
    guard : str
        Side of all arrays that lies at a guard.
    options : dict of str to Any
        Of the executor.
    """

    executor: str
    guard: str
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, case: Case) -> Outputs | None:
        """Return what nodes send, ``(T, B, *shape)``; None if a lowering is refused.

        Raises
        ------
        NumericOverflowError
            If the way is strict and a sum overflows.
        """
        with guarding(self.guard):
            return _EXECUTORS[self.executor](case, dict(self.options))

    def __str__(self) -> str:
        chosen = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.executor} guard={self.guard} {chosen}"


# Engine


def _draw_kernels(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "kernels": str(rng.choice(KERNELS)),
        "threads": int(rng.choice([1, 1, 2, 3])),
        "batch_size": [None, 1, 2][rng.integers(3)],
        "strict": bool(rng.random() < 0.5),
        "tracked": bool(rng.random() < 0.3),
        "keep": str(rng.choice(["all", "usual", "some", "nothing"])),
        "form": str(rng.choice(list(FORMS))),
        "kind": _integers_for(case, rng),
        "parts": int(rng.choice([1, 1, 1, 2])),
    }


def _integers_for(case: Case, rng: np.random.Generator) -> str:
    """Return a type that holds the input, mostly the widest."""
    low, high = case.graph.input.low, case.graph.input.high
    fitting = [k for k in _INTEGERS if np.iinfo(k).min <= low and high <= np.iinfo(k).max]
    return str(rng.choice(fitting)) if rng.random() < 0.4 else "i8"


def _kept(case: Case, which: str) -> tuple[str, ...]:
    graph = case.graph
    names = {
        "all": graph.order,
        "usual": (*graph.lif_names, graph.output_name),
        "some": graph.order[1::2],
        "nothing": (graph.output_name,),
    }
    return tuple(names[which])


def _run_kernels(case: Case, options: dict[str, Any]) -> Outputs:
    keep, parts = _kept(case, options.pop("keep")), options.pop("parts")
    frames = FORMS[options.pop("form")](case.frames.astype(options.pop("kind")))
    strict, tracked = options.pop("strict"), options.pop("tracked")
    engine = Engine(case.graph, strict=strict, tracked=tracked, options=EngineOptions(**options))
    if parts == 1:
        return engine.run(frames, keep)
    # The same samples cut in time: neurons go on from the states of the first part.
    states: dict[str, Any] = {}
    cut = -(-len(frames) // parts)
    found = [
        engine.run(frames[start : start + cut], RunRequest(keep, states=states))
        for start in range(0, len(frames), cut)
    ]
    return {name: np.concatenate([part[name] for part in found]) for name in keep}


# simulate()


def _draw_simulate(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    kinds = ["f4", "f8"]
    if (case.graph.input.scale, case.graph.input.offset) == (1, 0):
        kinds += [_integers_for(case, rng), *(["?"] if case.graph.input.low == 0 else [])]
    if case.graph.input.high > 2**15:
        kinds = ["f8"]
    return {
        "strict": bool(rng.random() < 0.5),
        "count": bool(rng.random() < 0.5),
        "reset": bool(rng.random() < 0.7),
        "threads": int(rng.choice([1, 2])),
        "batch_size": [None, 1, 2][rng.integers(3)],
        "form": str(rng.choice(list(FORMS))),
        "kind": str(rng.choice(kinds)),
    }


def _input(case: Case, form: str, kind: str) -> np.ndarray:
    x = np.swapaxes(case.frames, 0, 1) / case.graph.input.scale
    if case.fill == "static":
        x = x[:, 0]
    return FORMS[form](x.astype(kind))


def _outputs(case: Case, result: Any) -> Outputs:
    return {**result.sent, "logits": result.logits}


def _run_simulate(case: Case, options: dict[str, Any]) -> Outputs:
    x = _input(case, options.pop("form"), options.pop("kind"))
    result = sdt_lava.simulate(case.graph, x, "engine", **options)
    outputs = dict(_outputs(case, result))
    if options["count"]:
        outputs |= {f"count of {row.name}": row.events for row in result.counts.layers}
    return outputs


def _draw_lowered(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    drawn = _draw_simulate(case, rng)
    for name in ("count", "form", "kind"):
        del drawn[name]
    return {**drawn, **_draw_lowering(rng)}


def _draw_lowering(rng: np.random.Generator) -> dict[str, str]:
    return {"shortcut": str(rng.choice(SHORTCUTS)), "sdsa": str(rng.choice(COLUMNS))}


def _run_lowered(case: Case, options: dict[str, Any]) -> Outputs | None:
    try:
        return _outputs(
            case, sdt_lava.simulate(case.graph, _input(case, "plain", "f8"), "engine", **options)
        )
    except CompileError:
        return None


def _draw_machine(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    lowering = _draw_lowering(rng) if rng.random() < 0.5 else {}
    return {
        "strict": bool(rng.random() < 0.5),
        "reset": bool(rng.random() < 0.7),
        "batch_size": [None, 1, 2][rng.integers(3)],
        "convolutions": str(rng.choice(CONVOLUTIONS)),
        **lowering,
    }


def _run_machine(case: Case, options: dict[str, Any]) -> Outputs | None:
    x = _input(case, "plain", "f8")
    hardware = HardwareOptions("lava-cpu", convolutions=options.pop("convolutions"))
    try:
        result = sdt_lava.simulate(case.graph, x, "machine", hardware=hardware, **options)
    except CompileError:
        return None
    return _outputs(case, result)


def _draw_lava(case: Case, rng: np.random.Generator) -> dict[str, Any]:
    lowering = _draw_lowering(rng) if rng.random() < 0.4 else {}
    return {
        "models": str(rng.choice(MODELS)),
        "strict": bool(rng.random() < 0.5),
        "reset": bool(rng.random() < 0.7),
        **lowering,
    }


def _run_lava(case: Case, options: dict[str, Any]) -> Outputs | None:
    x = _input(case, "plain", "f8")
    try:
        return _outputs(case, sdt_lava.simulate(case.graph, x, "lava-inprocess", **options))
    except CompileError:
        return None


_EXECUTORS: dict[str, Callable[[Case, dict[str, Any]], Outputs | None]] = {
    "kernels": _run_kernels,
    "simulate": _run_simulate,
    "lowered": _run_lowered,
    "lava": _run_lava,
    "machine": _run_machine,
}
EXECUTORS = tuple(_EXECUTORS)
_DRAW: dict[str, Callable[[Case, np.random.Generator], dict[str, Any]]] = {
    "kernels": _draw_kernels,
    "simulate": _draw_simulate,
    "lowered": _draw_lowered,
    "lava": _draw_lava,
    "machine": _draw_machine,
}
# How many of them a case takes; a fraction is a chance.
_NUMBERS = {"kernels": 3.0, "simulate": 1.0, "lowered": 0.5, "lava": 0.25, "machine": 0.5}
# Lava takes its time for each of its steps.
_MOST_LAVA_STEPS = 25


def draw_ways(case: Case) -> list[Way]:
    """Return the ways in which a case is run."""
    rng, ways = case.rng, []
    for executor, number in _NUMBERS.items():
        times = int(number) + int(rng.random() < number % 1)
        if executor == "lava" and case.frames.shape[0] * case.frames.shape[1] > _MOST_LAVA_STEPS:
            times = 0
        for _ in range(times):
            guard = str(rng.choice(GUARDS))
            ways.append(Way(executor, guard, _DRAW[executor](case, rng)))
    # Drawn all the same, so that a case has the same other ways with Lava and without.
    return [way for way in ways if way.executor != "lava" or has_lava()]


class Oracle:
    """What the reference says of a case.

    Parameters
    ----------
    case : Case
        The case.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._known: dict[tuple[bool, bool], Any] = {}

    def nodes(self) -> Mapping[str, np.ndarray]:
        """Return what every node sends if sums may wrap and saturate."""
        return run_reference(self.case.graph, self.case.frames, strict=False)

    def refusal(self, *, reset: bool) -> str:
        """Return the error in which a strict run ends; '' if it gives a result."""
        result = self._result(reset, True)
        return result if isinstance(result, str) else ""

    def result(self, *, reset: bool) -> Any:
        """Return the result of `simulate`."""
        return self._result(reset, False)

    def _result(self, reset: bool, strict: bool) -> Any:
        if (reset, strict) not in self._known:
            self._known[reset, strict] = self._simulated(reset, strict)
        return self._known[reset, strict]

    def _simulated(self, reset: bool, strict: bool) -> Any:
        from sdt_lava.errors import NumericOverflowError

        x = np.swapaxes(self.case.frames, 0, 1) / self.case.graph.input.scale
        try:
            return sdt_lava.simulate(self.case.graph, x, "reference", reset=reset, strict=strict)
        except NumericOverflowError as error:
            return str(error)

    def expected(self, way: Way) -> Mapping[str, np.ndarray]:
        """Return what a way should give, by the names of its outputs."""
        if way.executor == "kernels":
            return self.nodes()
        result = self.result(reset=way.options.get("reset", True))
        counts = {}
        if way.options.get("count"):
            # Replayed in NumPy: `result.counts` would ask the engine, which is to be tested.
            replayed = count_events(self.case.graph, result.frames, result.sent, plain=True)
            counts = {f"count of {row.name}": row.events for row in replayed.layers}
        return {**result.sent, "logits": result.logits, **counts}
