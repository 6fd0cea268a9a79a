"""What is missing is named, with the command that installs it."""

from __future__ import annotations

import sys

import pytest

from sdt_lava.datasets import load_dataset
from sdt_lava.errors import ConfigError
from sdt_lava.support.extras import require


def test_what_is_installed_is_no_error():
    require("json", "images")


def test_a_missing_package_names_its_extra():
    with pytest.raises(ConfigError) as caught:
        require("no_such_package", "images")
    assert str(caught.value) == (
        "no_such_package: not installed; remedy: pip install 'sdt-lava[images]'"
    )


@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')",
                                   "ImportError('undefined symbol')"])  # fmt: skip
def test_a_package_that_does_not_fit_tells_why(error, tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be imported: (operator|undefined).*\[images\]"):
        require("broken_package", "images")


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_images_without_torchvision(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ConfigError, match=r"torchvision: not installed.*sdt-lava\[images\]"):
        load_dataset(name, root=tmp_path)
