"""Check with design rules whether a target can run a compiled network, and suggest remedies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

# Importing a module registers its rules.
from sdt_lava.hardware.rules import (  # noqa: F401
    boards,
    kinds,
    neurons,
    ranges,
    reported,
    weights,
    wiring,
)
from sdt_lava.hardware.rules.base import ERROR, RULES, WARNING, Rule, RuleContext, Violation
from sdt_lava.ir.bounds import Extremes
from sdt_lava.support.lazy import lazy

if TYPE_CHECKING:
    from sdt_lava.compiler.compile import CompiledNetwork

__all__ = ["ERROR", "RULES", "WARNING", "Rule", "RuleContext", "Violation", "check_rules"]

__getattr__ = lazy(__name__)


def check_rules(
    compiled: CompiledNetwork, measured: Mapping[str, Extremes] | None = None
) -> tuple[Violation, ...]:
    """Check a compiled network against every design rule.

    Parameters
    ----------
    compiled : CompiledNetwork
        The network, with the target for which it was compiled.
    measured : mapping of str to Extremes, optional
        Largest magnitudes that neurons reached on data (`Engine.extremes`). They are evidence where
        the weights alone do not prove that a limit holds.

    Returns
    -------
    tuple of Violation
        Violations: errors first, otherwise in the order of `RULES`.
    """
    context = RuleContext(compiled, dict(measured or {}))
    violations = [violation for rule in RULES.values() for violation in rule.check(context)]
    return tuple(sorted(violations, key=lambda violation: violation.severity != ERROR))
