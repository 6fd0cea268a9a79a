"""Limits that users of the hardware reported."""

from __future__ import annotations

from sdt_lava.hardware.rules import WARNING
from sdt_lava.hardware.targets import load_target
from tests.hardware.rules.cases import LOIHI2, conv, dense, found, target


def test_conv_input_size():
    net = conv(shape=(2, 5, 6))
    assert not found("conv_input_size", net, target(conv_input_reported=60))
    (violation,) = found("conv_input_size", net, target(conv_input_reported=59))
    assert violation.severity == WARNING


def test_conv_width():
    net = conv(shape=(2, 5, 6))
    assert not found("conv_width", net, target(conv_width_reported=6))
    (violation,) = found("conv_width", net, target(conv_width_reported=5))
    assert violation.severity == WARNING


def test_lif_scaling():
    net = dense([[2]])
    (violation,) = found("lif_scaling", net, LOIHI2)
    assert violation.node == "network" and violation.severity == WARNING
    assert not found("lif_scaling", net, load_target("lava-cpu"))
    assert not found("lif_scaling", net, target(lif_scaling_reported=0))
