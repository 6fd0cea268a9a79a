"""Remedies of checkpoints and configurations."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sdt_lava.families import load_model, save_checkpoint
from sdt_lava.model import SpikeDrivenTransformer
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
    save,
    training_arguments,
    write_yml,
)
from tests.remedies.said import refusal

# What refuses, what its remedy says, and what a user does who follows it.
Case = tuple[Callable[[], Any], str, Callable[[str], Any]]
CONFIG = official_config()


def compressed(path: Path) -> Path:
    """Pack a checkpoint as a zip program does."""
    save(path, official_content(CONFIG))
    repacked(path, zipfile.ZIP_DEFLATED)
    return path


def repacked(path: Path, method: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def old_format(path: Path) -> Path:
    torch.save(official_content(CONFIG), path, _use_new_zipfile_serialization=False)
    return path


def saved_again(path: Path) -> None:
    # Where it was made, its classes are known.
    content = torch.load(path, weights_only=False)
    torch.save({"state_dict": content["state_dict"]}, path)


def checkpoint_cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield the refusals of checkpoints."""
    path, yml = folder / "m.pth", folder / "conf.yml"
    state = official_state(CONFIG)
    content = official_content(CONFIG)
    averaged = {"state_dict_ema": state, "args": content["args"]}
    both_heads = state | {"head_dist.weight": torch.zeros(3, 16), "head_dist.bias": torch.ones(3)}
    more = state | {"head.total_ops": torch.zeros(3)}
    own = load_model(save(folder / "first.pth", content))
    wide = training_arguments(official_config(dim=32))

    def load(value: Any = None, config: Any = None, **options: Any) -> Callable[[], Any]:
        return lambda: load_model(path if value is None else save(path, value), config, **options)

    def as_own() -> Any:
        save_checkpoint(path, own)
        return load_model(path, ema=True)

    def without_second(_: str) -> Any:
        joined = dict(state)
        for part in ("weight", "bias"):
            joined[f"head.{part}"] = (state[f"head.{part}"] + both_heads[f"head_dist.{part}"]) / 2
        return load({**content, "state_dict": joined})()

    def taken_out(remedy: str) -> Any:
        expression = re.search(r"torch\.save\(.*'weights\.pt'\)", remedy)
        assert expression
        exec(expression[0].replace("'weights.pt'", "WEIGHTS"), {
            "torch": torch, "FILE": path, "WEIGHTS": folder / "weights.pt",
        })  # fmt: skip
        return load_model(folder / "weights.pt", CONFIG)

    write_yml(yml, YML)
    yield "no moving average", (
        load(content, ema=True), "without --ema", lambda _: load_model(path)
    )  # fmt: skip
    yield "only a moving average", (
        load(averaged), "pass --ema", lambda _: load_model(path, ema=True)
    )  # fmt: skip
    yield "a moving average of our own", (as_own, "leave out --ema", lambda _: load_model(path))
    yield "no configuration", (
        load({"state_dict": state}), "--config .*conf.yml", lambda _: load_model(path, CONFIG)
    )  # fmt: skip
    yield "a bare state dict of ours", (
        load(own.state_dict()), "--config .*JSON", lambda _: load_model(path, own.config)
    )  # fmt: skip
    yield "unknown arguments", (
        load({**content, "args": training_arguments(CONFIG, gate=3)}), "--config FILE",
        lambda _: load_model(path, CONFIG),
    )  # fmt: skip
    yield "contradicting weights", (
        load({**content, "args": wide}), "conf.yml or the preset",
        lambda _: load_model(path, CONFIG),
    )  # fmt: skip
    yield "another structure", (
        load(content, official_config(pooling_stat="1100")), "or none: its own arguments",
        lambda _: load_model(path),
    )  # fmt: skip
    yield "weights that nobody finds", (
        load({"generator": {"best": state}, "a": 1}), "torch.save", taken_out,
    )  # fmt: skip
    yield "a second head", (
        load({**content, "state_dict": both_heads}), "average their weights", without_second,
    )  # fmt: skip
    yield "a tensor too many", (
        load({**content, "state_dict": more}), "without them",
        lambda _: load({**content, "state_dict": state})(),
    )  # fmt: skip
    yield "a compressed archive", (
        lambda: load_model(compressed(path)), "zip -0",
        lambda _: (repacked(path, zipfile.ZIP_STORED), load_model(path)),
    )  # fmt: skip
    yield "the format of old torch", (
        lambda: load_model(old_format(path)), "save it again with torch.save",
        lambda _: (saved_again(path), load_model(path, CONFIG)),
    )  # fmt: skip
    two = {"time_steps": 4, "T": 6}
    yield "two values of one argument", (
        load({**content, "args": {**vars(content["args"]), **two}}), "leave out the one",
        lambda _: load({**content, "args": {**vars(content["args"]), "time_steps": 4}})(),
    )  # fmt: skip


CHECKPOINTS = [
    "no moving average", "only a moving average", "a moving average of our own",
    "no configuration", "a bare state dict of ours", "unknown arguments", "contradicting weights",
    "another structure", "weights that nobody finds", "a second head", "a tensor too many",
    "a compressed archive", "the format of old torch", "two values of one argument",
]  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(name, tmp_path):
    cases = dict(checkpoint_cases(tmp_path))
    assert list(cases) == CHECKPOINTS
    refuses, said, mend = cases[name]
    found = mend(refusal(refuses, said))
    model = found[-1] if isinstance(found, tuple) else found
    assert isinstance(model, SpikeDrivenTransformer)


def test_configurations_on_the_command_line(tmp_path, command):
    """What --config is said to take, it takes: a preset, a JSON file, a conf.yml."""
    save(tmp_path / "w.pth", {"state_dict": official_state(CONFIG)})
    words = ["export", tmp_path / "w.pth", "--out", tmp_path / "n.h5"]
    code, said = command(*words)
    assert code == 2 and "pass --config" in said
    config = tmp_path / "conf.json"
    config.write_text(json.dumps(CONFIG.to_dict()))
    assert command(*words, "--config", config)[0] == 0
