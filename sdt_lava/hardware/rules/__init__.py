"""Design rules: whether a target can run a compiled network, and what to do if not."""

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
    """Apply every design rule to a compiled network.

    Parameters
    ----------
    compiled : CompiledNetwork
        The network, and the target that it was compiled for.
    measured : mapping of str to Extremes, optional
        Largest magnitudes that data reached in neurons (`Engine.extremes`): evidence where the
        weights alone prove nothing.

    Returns
    -------
    tuple of Violation
        Errors first, otherwise in the order of `RULES`.
    """
    context = RuleContext(compiled, dict(measured or {}))
    found = [violation for rule in RULES.values() for violation in rule.check(context)]
    return tuple(sorted(found, key=lambda violation: violation.severity != ERROR))
