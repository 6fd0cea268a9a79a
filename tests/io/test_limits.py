"""Limits of what is read: named, in one place, raised by an option."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sdt_lava.errors import ConfigError
from sdt_lava.io import limits


def test_limits_apply_inside_the_block_only():
    before = limits.limits()
    with limits.allowing(network_bytes=5, population=7) as inside:
        assert (inside.network_bytes, inside.population) == (5, 7)
        with limits.allowing(population=9):
            assert limits.limits().network_bytes == 5
        assert limits.limits() is inside
    assert limits.limits() is before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network-bytes=8GiB", {"network_bytes": 8 * 2**30}),
        ("network_layers=100000", {"network_layers": 100_000}),
        ("rates-bytes=20MB", {"rates_bytes": 20_000_000}),
        ("population=3 Ki", {"population": 3072}),
    ],
)
def test_notation(text, expected):
    assert limits.parse(text) == expected


@pytest.mark.parametrize("text", ["", "x", "network-bytes", "a=", "a=-1", "a=1.5", "a=1T"])
def test_other_notation_is_refused(text):
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        limits.parse(text)


@pytest.mark.parametrize("changes", [{"more": 1}, {"population": 0}, {"population": True}])
def test_wrong_limits_are_refused(changes):
    with pytest.raises(ConfigError, match="limit"), limits.allowing(**changes):
        pass


def test_every_limit_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    for field in fields(limits.Limits):
        assert f"`{limits.option(field.name)}`" in page
