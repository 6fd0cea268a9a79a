"""The Lava processes show the network's blocks, and inside them only standard ones."""

from __future__ import annotations

import numpy as np
import pytest
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.graded.process import GradedVec
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse

import sdt_lava
from sdt_lava.backends.lava.processes.blocks.process import (
    ClassificationHead,
    PatchSplitting,
    SpikeDrivenSelfAttention,
    SpikingMlp,
)
from sdt_lava.backends.lava.processes.host_io import FrameSource, SpikeRecorder
from sdt_lava.backends.lava.run import build_processes
from sdt_lava.model import SpikeDrivenTransformer, preset

pytestmark = pytest.mark.lava

STANDARD = {LIF, LIFReset, GradedVec, Sparse, DelaySparse, Dense, DelayDense, Conv}


@pytest.fixture(scope="module")
def compiled():
    model = SpikeDrivenTransformer(preset("digits", dim=16, num_heads=2, depth=2)).eval()
    net, _ = sdt_lava.to_network(model)
    return sdt_lava.compile(net)


@pytest.fixture
def lava_network(compiled, tmp_path):
    frames = np.zeros((4, 1, *compiled.graph.input_shape), np.int64)
    return build_processes(compiled, frames, tmp_path)


def expand(process):
    """Let Lava itself resolve the hierarchy; returns leaf processes by model."""
    config = Loihi2SimCfg(select_tag="fixed_pt")
    return ProcGroupDiGraphs._map_proc_to_model(find_processes(process), config, [])


def test_blocks_are_hierarchical_processes(compiled, lava_network):
    from sdt_lava.backends.lava.processes.blocks.models import SubSpikingNetworkModel

    model = SubSpikingNetworkModel(lava_network.network)
    blocks = [getattr(model, f"block_{index}") for index in range(6)]
    assert [type(block) for block in blocks] == [
        PatchSplitting,
        SpikeDrivenSelfAttention,
        SpikingMlp,
        SpikeDrivenSelfAttention,
        SpikingMlp,
        ClassificationHead,
    ]
    assert blocks[1].name == "block.0.attn"


def test_leaves_are_standard_processes(compiled, lava_network):
    leaves = [p for p in expand(lava_network.source) if type(p) not in (FrameSource, SpikeRecorder)]
    assert {type(leaf) for leaf in leaves} <= STANDARD
    assert len(leaves) == compiled.num_processes
    names = {leaf.name for leaf in leaves}
    assert set(compiled.graph.lif_names) <= names


def test_parameters_fit_the_hardware(compiled, lava_network):
    for leaf in expand(lava_network.source):
        if isinstance(leaf, LIF | LIFReset):
            assert 0 <= leaf.du.init <= 4095 and 0 <= leaf.dv.init <= 4095
            assert 0 <= leaf.vth.init < 2**17
            assert np.abs(leaf.bias_mant.init).max() <= 4095 and 0 <= leaf.bias_exp.init <= 7
        if isinstance(leaf, DelaySparse):
            assert leaf.delays.init.max() <= 62
        if isinstance(leaf, Sparse | DelaySparse):
            assert np.abs(leaf.weights.init.data).max() <= 254


def test_print_shows_processes_and_schedule(compiled):
    text = str(compiled)
    assert f"{compiled.num_processes} Lava processes" in text
    assert "block.1.attn.talking_heads_lif" in text and "latency" in text


def test_process_table_is_what_lava_gets(compiled, lava_network):
    emitted = {leaf.name: leaf for leaf in expand(lava_network.source)}
    assert {row.name for row in compiled.processes} <= set(emitted)
    for row in compiled.processes:
        leaf = emitted[row.name]
        assert type(leaf).__name__ == row.process
        if row.reset_offset is not None:
            assert leaf.proc_params["reset_offset"] == row.reset_offset
            assert leaf.proc_params["reset_interval"] == compiled.schedule.timesteps
        if row.process == "DelaySparse":
            assert set(leaf.delays.init.data) == {row.delay}
