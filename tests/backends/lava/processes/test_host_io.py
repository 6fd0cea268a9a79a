"""FrameSource and SpikeRecorder: what goes in comes out, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg

from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder
from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.errors import DataError, LavaRuntimeError

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]


def record(folder, frames, signals, num_steps, run_steps=None):
    np.save(folder / "frames.npy", frames)
    source = FrameSource(folder / "frames.npy")
    recorder = SpikeRecorder(signals, folder, num_steps, name="recorder")
    for signal in signals:
        source.s_out.connect(recorder.port(signal))
    with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt"), timeout=60) as session:
        session.run(run_steps or num_steps)
    return recorder


def test_rows_come_out_in_order_and_zeros_follow(tmp_path):
    frames = np.arange(15, dtype=np.int32).reshape(3, 5)
    signals = {"spikes": RecordedSignal(5), "../graded": RecordedSignal(5, "int32")}
    recorder = record(tmp_path, frames, signals, num_steps=5)
    expected = np.vstack([frames, np.zeros((2, 5), dtype=np.int32)])
    for name, signal in signals.items():
        assert np.array_equal(recorder.read(name), expected)
        assert recorder.read(name).dtype == signal.dtype
    assert {path.parent for path in tmp_path.rglob("*.npy")} == {tmp_path}


def test_extreme_int32_values_pass(tmp_path):
    frames = np.array([[-(2**31), 2**31 - 1, -1]], dtype=np.int32)
    recorder = record(tmp_path, frames, {"x": RecordedSignal(3, "int32")}, num_steps=1)
    assert np.array_equal(recorder.read("x"), frames)


@pytest.mark.parametrize("value", [-1, 256, 2**31 - 1])
def test_a_value_that_does_not_fit_is_refused(tmp_path, value):
    frames = np.array([[1, 1], [0, value]], dtype=np.int32)
    with pytest.raises(LavaRuntimeError, match=f"recorder.*'x' at time step 2.*{value}") as caught:
        record(tmp_path, frames, {"x": RecordedSignal(2)}, num_steps=2)
    assert isinstance(caught.value.__cause__, DataError)


def test_more_steps_than_the_recorder_has_rows(tmp_path):
    frames = np.ones((4, 2), dtype=np.int32)
    with pytest.raises(LavaRuntimeError, match="recorder.*time step 4.*at most 3"):
        record(tmp_path, frames, {"x": RecordedSignal(2)}, num_steps=3, run_steps=4)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2)), np.zeros(3, np.int32), np.zeros((2, 0), np.int32), np.array([{}])],
)
def test_a_file_that_is_not_frames(tmp_path, array):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy.*allowed"):
        FrameSource(tmp_path / "x.npy")


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        FrameSource(tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("signals", "num_steps"),
    [
        ({}, 1),
        ({"x": RecordedSignal(0)}, 1),
        ({"x": RecordedSignal(1, "float32")}, 1),
        ({"x": RecordedSignal(1)}, 0),
    ],
)
def test_recorder_arguments(tmp_path, signals, num_steps):
    with pytest.raises(DataError):
        SpikeRecorder(signals, tmp_path, num_steps)
