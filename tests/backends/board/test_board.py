"""The hardware path, up to the border of Intel's extension and with a stand-in beyond it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from sdt_lava import simulate
from sdt_lava.backends.board import HardwareOptions, backend
from sdt_lava.backends.board import run as loihi_run
from sdt_lava.backends.board.host import connected
from sdt_lava.backends.board.profile import read_profilers
from sdt_lava.backends.board.wiring import build_adapted, signed
from sdt_lava.backends.board.worker import in_child
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.errors import (
    CompileError,
    ConfigError,
    HardwareUnavailableError,
    LavaRuntimeError,
    LavaTimeoutError,
)
from sdt_lava.hardware.targets import Limit, load_target
from tests import fake_loihi
from tests.graphs import random_chain, random_frames, random_sdt_graph
from tests.left_behind import becomes, processes_where, unused_shared_memory

pytestmark = pytest.mark.lava

LOIHI2 = load_target("loihi2")
BOARD = LOIHI2.board("oheogulch")
PARENT = 1  # field of /proc/<pid>/stat, after pid and name: state, ppid


@pytest.fixture
def extension(monkeypatch):
    """The stand-in in place, and proof that a run leaves nothing behind."""
    fake_loihi.install(monkeypatch)
    before = unused_shared_memory()
    yield monkeypatch
    assert becomes(lambda: unused_shared_memory() <= before)
    assert not {"SLURM", "HOST_BINARY"} & set(os.environ)


def small(**fields):
    fields = {"image": (5,), "convs": (), "denses": (6, 4), "low": -7, "high": 100, **fields}
    return random_chain(np.random.default_rng(0), varied=False, **fields)


def images(net, samples=2):
    frames = random_frames(np.random.default_rng(1), net, samples)
    return np.swapaxes(frames, 0, 1) / net.input.scale


# -- without the extension -------------------------------------------------------------------


def test_without_the_extension_it_ends_before_any_work(monkeypatch):
    monkeypatch.setattr(backend, "enter", None)  # nothing gets that far
    with pytest.raises(HardwareUnavailableError, match="not installed") as error:
        simulate(small(), None, "loihi2")
    assert error.value.exit_code == 3


@pytest.mark.parametrize("target", ["loihi1", "lava-cpu"])
def test_other_targets_have_no_back_end(target):
    with pytest.raises(HardwareUnavailableError, match=target):
        simulate(small(), None, "loihi2", hardware=HardwareOptions(target=target))


def test_extension_of_another_version(extension):
    extension.delitem(sys.modules, "lava.proc.embedded_io.spike")
    with pytest.raises(HardwareUnavailableError, match="cannot be imported"):
        simulate(small(), None, "loihi2")


# -- which board -----------------------------------------------------------------------------


def test_no_slurm(monkeypatch):
    fake_loihi.install(monkeypatch, sinfo=None)
    with pytest.raises(HardwareUnavailableError, match="sinfo"), connected(BOARD):
        pass


def test_slurm_picks_a_partition_of_the_board(extension):
    """Although its first row is down, where Lava's own function stops looking."""
    with connected(BOARD) as host:
        assert host == "SLURM oheogulch"
        assert (os.environ["SLURM"], os.environ["PARTITION"]) == ("1", "oheogulch")
        assert os.environ["LOIHI_GEN"] == "N3B3" and "BOARD" not in os.environ
    with connected(LOIHI2.board("kapohopoint")) as host:
        assert host == "SLURM kp"  # marked as the default by a star


def test_the_environment_decides(extension):
    extension.setenv("PARTITION", "kp")
    extension.setenv("LOIHI_GEN", "N3C1")
    with connected(BOARD) as host:
        assert host == "SLURM kp" and os.environ["LOIHI_GEN"] == "N3C1"
    extension.setenv("NOSLURM", "1")
    extension.setenv("NXSDKHOST", "127.0.0.1")
    with connected(BOARD) as host:
        assert host == "ethernet 127.0.0.1" and "nx_driver_server" in os.environ["HOST_BINARY"]


@pytest.mark.parametrize(
    ("variables", "board", "said"),
    [
        ({"PARTITION": "unknown"}, "oheogulch", "unknown"),
        ({"BOARD": "ncl-none-01"}, "oheogulch", "ncl-none-01"),
        ({"NXSDKHOST": "10.0.0.9"}, "oheogulch", "10.0.0.9"),
        ({"NOSLURM": "1"}, "oheogulch", "NXSDKHOST"),
        ({}, "halapoint", "none is known"),
    ],
)
def test_no_such_board(extension, variables, board, said):
    for name, value in variables.items():
        extension.setenv(name, value)
    with pytest.raises(HardwareUnavailableError, match=said), connected(LOIHI2.board(board)):
        pass
    for name in variables:
        extension.delenv(name)


def test_unknown_generation(extension):
    extension.setenv("LOIHI_GEN", "N9")
    with pytest.raises(ConfigError, match="N9"), connected(BOARD):
        pass
    extension.delenv("LOIHI_GEN")


# -- a run -----------------------------------------------------------------------------------


def test_a_run_brings_back_spikes_and_measurements(extension):
    net = small()
    x = images(net, 3)
    result = simulate(net, x, "loihi2", timeout=100)
    expected = simulate(net, x, "engine")
    for name in net.lif_names:
        assert np.array_equal(result.spikes[name], expected.spikes[name])
        assert result.spikes[name].any()
    assert np.array_equal(result.logits, expected.logits)
    assert result.synops.total == expected.synops.total
    assert expected.measured is None
    measured = result.measured
    assert (measured.board, measured.host) == ("oheogulch", "SLURM oheogulch")
    assert (measured.samples, measured.timesteps, measured.machine_steps) == (3, 4, 14)
    assert measured.seconds_per_step == pytest.approx(25e-6)
    assert measured.total_energy == pytest.approx(2.0 * 4 * 25e-6)
    assert measured.dynamic_energy == pytest.approx(1.5 * 4 * 25e-6)
    assert (measured.synops, measured.neuron_updates, measured.cores) == (30, 11, 2)
    assert measured.spikes_out is None  # its profiler could not tell


@pytest.mark.slow
@pytest.mark.parametrize("convolutions", ["conv", "sparse"])
def test_a_transformer_with_negative_sums(extension, convolutions):
    """The readout's payloads lose their sign on the way, and get it back."""
    net = random_sdt_graph(
        np.random.default_rng(3), image=(2, 4, 4), channels=4, timesteps=3, low=-20, high=100
    )
    x = images(net)
    options = HardwareOptions(convolutions=convolutions, record="all")
    result = simulate(net, x, "loihi2", timeout=200, hardware=options)
    expected = simulate(net, x, "engine")
    for name in net.lif_names:
        assert np.array_equal(result.spikes[name], expected.spikes[name]), name
    assert np.array_equal(result.logits, expected.logits)
    assert (expected.logits - net.timesteps * net.readout.bias).min() < 0


def test_only_the_output_comes_back(extension):
    net = small()
    options = HardwareOptions(record="output", measure=False, board="kapohopoint")
    result = simulate(net, images(net), "loihi2", hardware=options, timeout=100)
    expected = simulate(net, images(net), "engine")
    assert list(result.spikes) == [net.output_name]
    assert np.array_equal(result.logits, expected.logits)
    assert result.synops.total == expected.synops.total  # what did not come back is replayed
    assert result.measured.total_power is None and result.measured.board == "kapohopoint"


def test_a_broken_rule_is_found_before_the_board_is_asked_for(extension):
    extension.setattr(loihi_run, "connected", None)
    net = small()
    lif = replace(net.nodes["head.0.lif"], voltage_decay=4096)
    net = net.rebuild([lif if node.name == lif.name else node for node in net])
    with pytest.raises(CompileError, match="voltage_decay"):
        simulate(net, images(net), "loihi2")
    with pytest.raises(TypeError):  # it asks for the board
        simulate(net, images(net), "loihi2", hardware=HardwareOptions(check=False))


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        ("unreachable", HardwareUnavailableError, "Connection refused"),
        ("driver", LavaRuntimeError, "no such chip"),
        ("dies", LavaRuntimeError, "exit code 9"),
        ("hangs", LavaTimeoutError, "within 1 s"),
    ],
)
def test_trouble_with_the_board_is_one_error(extension, trouble, kind, said):
    extension.setattr("tests.fake_loihi.config.FakeConfig.trouble", trouble)
    net = small()
    with pytest.raises(kind, match=said):
        simulate(net, images(net), "loihi2", timeout=1 if trouble == "hangs" else 60)
    assert not processes_where(PARENT, os.getpid())


def test_a_host_process_that_raises(extension):
    """Lava would wait for ever."""
    models = "sdt_lava.backends.lava.processes.host_io.models"
    extension.setattr(f"{models}.PyFrameSourceModel.run_spk", _boom)
    net = small()
    with pytest.raises(LavaRuntimeError, match="boom"):
        simulate(net, images(net), "loihi2", timeout=60)


def _boom(model):
    raise ValueError("boom")


def test_what_a_child_leaves_running_is_ended():
    def work():
        child = os.fork()
        if not child:
            os.execvp("sleep", ["sleep", "600"])
        return child

    left = in_child(work, 20, "a test")
    assert not os.path.exists(f"/proc/{left}")


# -- parts -----------------------------------------------------------------------------------


def test_signs_come_back():
    values = np.array([0, 1, 5, -1, -7, 2**23 - 1, -(2**23)])
    assert np.array_equal(signed(values & 0xFFFFFF), values)
    assert np.array_equal(signed(values), values)


def test_profilers_of_another_version():
    class Activity:
        syn_ops = np.array([])
        dendrite_updates = np.array([np.nan])

    values = read_profilers({"Loihi2Activity": Activity()})
    assert set(values.values()) == {None}


def test_latencies_of_the_border_move_resets_and_reading():
    """A border that takes steps shifts the whole schedule."""
    net = random_sdt_graph(np.random.default_rng(0), timesteps=4)
    limits = {**LOIHI2.limits, "input_latency": Limit(3, "a test")}
    plain, late = (
        compile_network(net, replace(LOIHI2, limits=each)).schedule
        for each in (LOIHI2.limits, limits)
    )
    assert {
        name: late.latency[name] - plain.latency[name] for name in plain.latency
    } == dict.fromkeys(plain.latency, 3)
    assert late.delay == plain.delay
    assert late.reset_offset("head.lif") == (plain.reset_offset("head.lif") + 3) % 4


@pytest.mark.slow
def test_the_adapted_network_is_the_same_on_the_cpu(tmp_path):
    """The hardware's process graph with the simulator's run configuration."""
    from lava.magma.core.run_configs import Loihi2SimCfg

    from sdt_lava.backends.lava.run import cut_samples

    net = random_sdt_graph(np.random.default_rng(2), image=(1, 4, 4), channels=4, timesteps=2)
    compiled = compile_network(net, "loihi2")
    frames = random_frames(np.random.default_rng(0), net)
    steps = compiled.schedule.machine_steps(2)
    lava = build_adapted(compiled, frames, tmp_path, compiled.observed, steps)
    with LavaSession(lava.source, Loihi2SimCfg(select_tag="fixed_pt"), timeout=100) as session:
        session.run(steps)
    expected = simulate(net, images_of(net, frames), "engine")
    for name in net.lif_names:
        spikes = cut_samples(compiled, name, lava.recorder.read(name), 2)
        assert np.array_equal(spikes, expected.spikes[name]), name


def images_of(net, frames):
    return np.swapaxes(frames, 0, 1) / net.input.scale
