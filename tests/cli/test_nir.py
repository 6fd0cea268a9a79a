"""``sdt-lava nir``: out, in, and what it says about both."""

from __future__ import annotations

import json

import nir
import numpy as np

import sdt_lava
from tests.graphs import assert_same_graph, random_chain
from tests.importers.nir.test_foreign import image_chain


def test_out_and_in(run, tmp_path):
    graph = random_chain(np.random.default_rng(0))
    source, middle, again = (tmp_path / name for name in ("net.h5", "net.nir", "again.h5"))
    sdt_lava.save_network(graph, source)
    code, out, _ = run("main", "nir", source, "--out", middle, "--dt", "0.001")
    assert code == 0 and "next: sdt-lava nir" in out
    assert nir.read(middle, type_check=False).metadata["dt"] == 0.001
    report = tmp_path / "report.json"
    code, out, _ = run("main", "nir", middle, "--out", again, "--json", report)
    assert code == 0 and "unchanged; time step 0.001 s" in out
    assert_same_graph(sdt_lava.load_network(again), sdt_lava.load_network(source))
    assert json.loads(report.read_text()) == {
        "exact": True, "dt": 0.001, "notes": [], "quantization": None,
    }  # fmt: skip


def test_a_file_of_another_program(run, tmp_path):
    nir.write(tmp_path / "net.nir", image_chain(np.random.default_rng(1)))
    arguments = ["nir", tmp_path / "net.nir", "--out", tmp_path / "net.h5"]
    code, _, err = run("main", *arguments)
    assert code == 2 and "--timesteps" in err and not (tmp_path / "net.h5").exists()
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.integers(0, 2, (8, 2, 6, 6)))
    more = ["--timesteps", 4, "--bits", 6, "--calibration", tmp_path / "x.npz"]
    code, out, _ = run("main", *arguments, *more)
    assert code == 0 and "Weights, 6 bit" in out and "quantized weights" in out
    net = sdt_lava.load_network(tmp_path / "net.h5")
    assert net.timesteps == 4
    code, out, _ = run(
        "main_sim", tmp_path / "net.h5", "--data", tmp_path / "x.npz", "--backend", "engine"
    )
    assert code == 0 and "synaptic operations" in out


def test_a_network_with_attention(run, network, tmp_path):
    code, _, err = run("main", "nir", network, "--out", tmp_path / "net.nir")
    text = err.replace("\n", " ")
    assert code == 2 and "NIR has no node for" in text
    for part in (
        "and (a logical AND of spikes): 'block.0.attn.kv', 'block.0.attn.mask'",
        "token_sum",
    ):
        assert part in text
    assert not (tmp_path / "net.nir").exists()


def test_which_way_is_meant(run, network, tmp_path):
    for out in ("net.h5", "net"):
        code, _, err = run("main", "nir", network, "--out", tmp_path / out)
        assert code == 2 and "suffix .nir" in err
    code, _, err = run("main", "nir", tmp_path / "a.nir", "--out", tmp_path / "b.nir")
    assert code == 2 and "suffix .nir" in err
    code, _, err = run("main", "nir", tmp_path / "a.nir", "--out", tmp_path / "b.h5")
    assert code == 2 and "no such file" in err
