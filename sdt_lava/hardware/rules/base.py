"""Define design rules: functions of a compiled network and its target that yield violations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdt_lava.compiler.partition import Connection, connections_into
from sdt_lava.hardware.targets import Target
from sdt_lava.ir import Input, Node, Signal
from sdt_lava.ir.bounds import Bounds, Extremes, bound
from sdt_lava.support.once import cached_property

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork

ERROR, WARNING = "error", "warning"
# Used as the node of a violation that concerns the whole network.
WHOLE_NETWORK = "network"


@dataclass(frozen=True)
class Violation:
    """Something that a target does not allow, or that should be reviewed.

    Parameters
    ----------
    rule : str
        Name of the rule.
    node : str
        Node of the compiled graph or of the source network.
    found : str
        What the rule found.
    allowed : str
        What the target allows.
    remedy : str
        How to fix it.
    severity : {'error', 'warning'}
        With an error, the network does not run or computes something else.
    """

    rule: str
    node: str
    found: str
    allowed: str
    remedy: str
    severity: str = ERROR

    def to_dict(self) -> dict[str, str]:
        """Return the violation as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class RuleContext:
    """What rules examine; expensive parts are computed once, on first use.

    Parameters
    ----------
    compiled : CompiledNetwork
        The network, with its target.
    measured : mapping of str to Extremes
        Largest magnitudes that neurons reached on data, if they were measured.
    """

    compiled: CompiledNetwork
    measured: Mapping[str, Extremes] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """Target for which the network was compiled."""
        return self.compiled.target

    @property
    def populations(self) -> Iterator[Node]:
        """Populations of neurons: LIFs, gates and relays."""
        graph = self.compiled.graph
        for node in graph:
            if graph.signals[node.name] is not Signal.CURRENT and not isinstance(node, Input):
                yield node

    @property
    def neurons_with_memory(self) -> Iterator[Any]:
        """LIFs of every kind: populations with decays."""
        return (node for node in self.populations if hasattr(node, "voltage_decay"))

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        """Connections between the populations."""
        compiled = self.compiled
        return tuple(connections_into(compiled.graph, compiled.schedule, list(self.populations)))

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the values of neurons and relays that hold for any input."""
        timed = replace(self.compiled.graph, timesteps=self.compiled.schedule.timesteps)
        return bound(timed)

    def largest_payload(self, name: str) -> int:
        """Return the largest magnitude of a message that a node can send."""
        low, high = self.bounds.intervals[name]
        return int(max(abs(low).max(initial=0), abs(high).max(initial=0)))


Check = Callable[[RuleContext], Iterator[Violation]]


@dataclass(frozen=True)
class Rule:
    """A design rule.

    Parameters
    ----------
    name : str
        Name of its function.
    summary : str
        First line of the function's docstring.
    limits : tuple of str
        Limits of the target that the rule applies.
    check : callable
        Function that checks the rule.
    """

    name: str
    summary: str
    limits: tuple[str, ...]
    check: Check


# Rules in the order in which they are checked and listed.
RULES: dict[str, Rule] = {}


def rule(*limits: str) -> Callable[[Check], Check]:
    """Register a function as a design rule.

    Parameters
    ----------
    *limits : str
        Limits of a target that the rule applies. It reports nothing if the target does not state
        them.
    """

    def register(check: Check) -> Check:
        name: str = getattr(check, "__name__", "")
        summary = (check.__doc__ or "").strip().split("\n")[0]
        RULES[name] = Rule(name, summary, limits, check)
        return check

    return register


def span(low: Any, high: Any) -> str:
    """Format a range as text."""
    return f"{low:,} to {high:,}" if low != high else f"{low:,}"
