"""Small networks and targets for design rules, and what one rule finds in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sdt_lava.backends.deployment import compile_network
from sdt_lava.hardware.rules import ERROR, RULES, WARNING, RuleContext
from sdt_lava.hardware.targets import Limit, load_target
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif

LOIHI2 = load_target("loihi2")
# A limit at which none of the small networks here is in the way of any rule.
UNLIMITED = replace(LOIHI2, limits={})


def target(base=UNLIMITED, **limits):
    """A target with a few limits changed."""
    added = {name: Limit(value, "a test") for name, value in limits.items()}
    return replace(base, limits={**base.limits, **added})


def dense(weight, *, source=None, timesteps=2, metadata=None, exponent=0, **lif):
    """Input, one dense layer, its neurons."""
    weight = np.asarray(weight)
    source = source or {"shape": (weight.shape[1],)}
    nodes = [
        Input(name="input", **source),
        Dense(name="fc", inputs=("input",), weight=weight, exponent=exponent),
        Lif(name="lif", inputs=("fc",), **{"threshold": 10, **lif}),
    ]
    return Graph.build(nodes, timesteps, metadata)


def conv(shape=(2, 5, 6), kernel=(3, 3), exponent=0, **fields):
    """Input, one convolution, its neurons."""
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-127, 128, (4, shape[0], *kernel))
    nodes = [
        Input(name="input", shape=shape),
        Conv(name="conv", inputs=("input",), weight=weight, exponent=exponent, **fields),
        Lif(name="lif", inputs=("conv",), threshold=100),
    ]
    return Graph.build(nodes, 2)


def found(name, net, chip=UNLIMITED, measured=None, compiled=None):
    """What one rule finds, checked for completeness."""
    compiled = compiled or compile_network(net, chip)
    violations = list(RULES[name].check(RuleContext(compiled, measured or {})))
    for violation in violations:
        assert violation.rule == name
        assert violation.found and violation.allowed and violation.remedy
        assert violation.severity in (ERROR, WARNING)
        assert violation.node in {*compiled.graph.nodes, *compiled.source.nodes, "network"}
    return violations
