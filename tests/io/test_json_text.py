"""JSON from anywhere: one value for a name, finite numbers."""

from __future__ import annotations

import pytest

from sdt_lava.errors import ConfigError, TargetError
from sdt_lava.families import resolve_config
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.toml_tables import TomlTable

CONFIG = '"image_size": [16, 16], "in_channels": 2, "num_classes": 3, "dim": 16, "depth": 2, '
CONFIG += '"timesteps": 3, "num_heads": 4, "pooling_stat": "0011"'


def test_what_json_holds():
    assert parse_json('{"a": [1, {"b": null}], "c": {"b": 2.5}}') == {
        "a": [1, {"b": None}],
        "c": {"b": 2.5},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "'a' is used twice"),
        ('[{"x": {"y": 1, "y": 2}}]', "'y' is used twice"),
        ('{"a": NaN}', "NaN is not"),
        ('{"a": -Infinity}', "-Infinity is not"),
    ],
)
def test_what_readers_disagree_about_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_a_long_name_is_shown_in_short():
    name = "x" * 100_000
    with pytest.raises(ValueError, match="twice") as found:
        parse_json(f'{{"{name}": 1, "{name}": 2}}')
    assert len(str(found.value)) < 200


def test_configurations_in_json(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{" + CONFIG + "}")
    assert resolve_config(path).dim == 16
    path.write_text("{" + CONFIG + ', "dim": 32}')
    with pytest.raises(ConfigError, match="'dim' is used twice"):
        resolve_config(path)


YML = "dataset: torch/cifar10\nnum_classes: 10\nimg_size: 32\npooling_stat: '0011'\ndim: 64\n"
YML += "layer: 2\ntime_steps: 4\n"


@pytest.mark.parametrize("again", ["dim: 96\n", '"dim": 96\n', "? dim\n: 96\n"])
def test_a_name_with_two_values_in_yaml(tmp_path, again):
    path = tmp_path / "conf.yml"
    path.write_text(YML + "dim: 64\n")
    assert resolve_config(path).dim == 64
    path.write_text(YML + again)
    with pytest.raises(ConfigError, match="'dim' has two values"):
        resolve_config(path)


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 400_000) + " = 1",
        "[" + ".".join("a" * 10_000) + "]",
        "x = {" + ".".join("a" * 10_000) + " = 1}",
        '"=".' * 10_000 + "a = 1",
        "a." * 10_000 + "\\",
    ],
)
def test_names_of_thousands_of_parts_in_toml(text):
    with pytest.raises(TargetError, match="dots") as found:
        TomlTable.parse("target 'x'", text, TargetError)
    assert len(str(found.value)) < 500


def test_long_names_in_toml_are_shown_in_short():
    table = TomlTable.parse("target 'x'", "y" * 100_000 + " = 1", TargetError)
    with pytest.raises(TargetError, match="unknown entry") as found:
        table.check_keys({"a"}, set())
    assert len(str(found.value)) < 500
