"""Our rules for weights against what Lava and stock netx make of them."""

from __future__ import annotations

import numpy as np
import pytest

from sdt_lava.io.netx.stock_rules import survive_scaling
from sdt_lava.ir.numerics import lava_weights
from sdt_lava.quantize.integer import WeightFormat
from tests.recordings.store import load
from tests.recordings.weights import BITS, FACTORS


def test_lava_keeps_the_weights_that_are_stored_and_no_others():
    case = load("weights")["connections"]
    seen = set()
    for weight, forms in zip(case["weights"], case["kept"], strict=True):
        kept = {
            factor: used
            for factor, used in zip(FACTORS, forms, strict=True)
            if np.array_equal(used, weight * factor)
        }
        stored = lava_weights(weight)
        assert (stored is not None) == bool(kept), weight
        if stored is not None:
            matrix, exponent = stored
            assert np.array_equal(kept[2.0**-exponent], matrix), weight
            seen.add(exponent)
    assert seen == {-1, 0, 1}


def test_stock_netx_keeps_the_weights_that_survive():
    case = load("weights")["stock netx"]
    survived = 0
    for parts, kept in zip(case["weights"], case["kept"], strict=True):
        if survive_scaling(list(parts)):
            assert np.array_equal(kept, parts), parts
            survived += 1
    assert 20 < survived < len(case["weights"])


@pytest.mark.parametrize("bits", BITS)
def test_lava_keeps_the_levels_of_a_weight_format(bits):
    case = load("weights")[f"{bits} bits"]
    levels = set(case["weights"][case["kept"] == case["weights"]])
    weights = WeightFormat(bits)
    ours = np.arange(-weights.mantissa, weights.mantissa + 1) * weights.step
    # Of Lava's levels the lowest has no positive counterpart.
    assert set(ours) == levels - {min(levels)}
