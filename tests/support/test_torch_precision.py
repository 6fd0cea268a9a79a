"""Torch multiplies exactly while it has to, whichever of its settings said otherwise."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from sdt_lava.support.torch_precision import multiply_exactly, precisions

HAS_NEW = hasattr(torch._C, "_get_fp32_precision_getter")
new = pytest.mark.skipif(not HAS_NEW, reason="a release of torch with one setting")


@contextmanager
def old(setting):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def changed(owner, setting):
    before = owner.fp32_precision
    owner.fp32_precision = setting
    try:
        yield
    finally:
        owner.fp32_precision = before


CASES = {
    "as it comes": lambda: old("highest"),
    "high": lambda: old("high"),
    "medium": lambda: old("medium"),
    "new, all": pytest.param(lambda: changed(torch.backends, "tf32"), marks=new),
    "new, matrices": pytest.param(lambda: changed(torch.backends.mkldnn.matmul, "bf16"), marks=new),
    "new, convolutions": pytest.param(
        lambda: changed(torch.backends.mkldnn.conv, "bf16"), marks=new
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_settings_are_exact_inside_and_as_before_afterwards(case):
    with case():
        before = precisions()
        undo = multiply_exactly()
        first, *rest = precisions()
        assert first == "highest" and set(rest) <= {"ieee", "none"}
        undo()
        assert precisions() == before


@new
def test_what_the_old_setting_cannot_say_is_no_error():
    """It cannot be read then: torch raises an error."""
    with old("highest"), changed(torch.backends.mkldnn.matmul, "bf16"):
        assert precisions()[0] == "mixed"
        with pytest.raises(RuntimeError):
            torch.get_float32_matmul_precision()
        multiply_exactly()()
        assert precisions()[0] == "mixed"
