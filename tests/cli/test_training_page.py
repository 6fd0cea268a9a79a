"""Every command and every block of Python in docs/training.md runs, in order, in one folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import sdt_lava
from sdt_lava.families.draft import read_draft

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "training.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)```", re.S)
FILES = ("json", "yaml", "toml")
PROGRAMS = {"sdt-lava": "main", "sdt-export": "main_export", "sdt-sim": "main_sim"}
# Appended to trainings that would take a minute.
SHORT = ("--epochs", "1", "--samples", "24")


def blocks():
    return [match.groupdict() for match in BLOCK.finditer(PAGE)]


def test_every_block_is_of_a_kind_that_is_tried():
    assert {block["kind"] for block in blocks()} == {"sh", "python", *FILES}
    assert len(blocks()) == PAGE.count("```") // 2
    commands = "\n".join(block["text"] for block in blocks() if block["kind"] == "sh")
    programs = {line.split()[0] for line in commands.splitlines() if line}
    assert programs == set(PROGRAMS)


@pytest.mark.slow
def test_the_page_can_be_followed(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks():
        if block["kind"] in FILES:
            name = re.findall(r"`([\w.]+\.(?:json|yml|toml))`", block["before"])[-1]
            Path(name).write_text(block["text"])
        elif block["kind"] == "python":
            exec(compile(block["text"], "training.md", "exec"), names)
        else:
            for line in block["text"].splitlines():
                program, *arguments = shlex.split(line)
                short = SHORT if arguments[0] == "train" and "--epochs" not in arguments else ()
                code, _, err = run(PROGRAMS[program], *arguments, *short)
                assert code == 0, f"{line}\n{err}"
    drafts = [read_draft(None, f"own.{suffix}").settings for suffix in ("json", "yml", "toml")]
    assert drafts[0] == drafts[1] == drafts[2]
    # What the page promises: the images are learnt, and each of its ways ends in a network.
    assert names["right"].mean() > 0.5
    for net in ("digits.h5", "own.h5", "python.h5", "tuned.h5", "four.h5", "finer.h5"):
        assert sdt_lava.load_network(net).nodes
    assert max(row.exponents for row in names["report"].synapses) > 1


def test_the_page_is_found_from_the_others():
    assert "docs/training.md" in (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert "(training.md)" in (DOCS / "cli.md").read_text(encoding="utf-8")
