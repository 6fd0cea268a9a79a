"""Lava itself against the recordings: what is recorded is what it computes."""

from __future__ import annotations

import json

import pytest

from tests import record_lava
from tests.recordings import SUBJECTS, processes, record, seeds
from tests.recordings.lava_process import run
from tests.recordings.store import MANIFEST, difference, load, read_manifest

pytestmark = [
    pytest.mark.lava,
    # Lava adds convolutions up in float64, and casts what is too large for an int32.
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast"),
]
# Those that have process models of ours.
ACCELERATED = (
    "lif",
    "lif-reset",
    "dense",
    "sparse",
    "delay-dense",
    "delay-sparse",
    "conv",
    "graded",
)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_lava_computes_what_is_recorded(subject):
    assert difference(record(subject, "in-process"), load(subject)) == ""


def test_the_seeds_are_those_of_the_recordings():
    assert read_manifest()["seeds"] == seeds()


@pytest.mark.parametrize("subject", ACCELERATED)
def test_accelerated_models_compute_what_is_recorded(subject):
    for name, case in load(subject).items():
        fields = processes.draw(subject)[name]
        found = run(subject, fields, "in-process", "accelerated")
        expected = {key: case[key] for key in found}
        assert difference({name: found}, {name: expected}) == ""


@pytest.mark.slow
def test_the_script_gives_the_same_files_in_lavas_own_runtime(tmp_path):
    subjects = ("lif-reset", "delay-sparse", "conv")
    record_lava.main(["--out", str(tmp_path), *subjects])
    for subject in subjects:
        assert difference(load(subject, tmp_path), load(subject)) == ""
        again = (tmp_path / f"{subject}.npz").read_bytes()
        record_lava.main(["--out", str(tmp_path), subject])
        assert (tmp_path / f"{subject}.npz").read_bytes() == again
    assert json.loads((tmp_path / MANIFEST).read_text())["packages"]["lava-nc"] == "0.10.0"
