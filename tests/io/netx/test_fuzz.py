"""Any bytes: one typed error or a legal network, and from our own files the same network."""

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdt_lava.errors import NetworkFileError
from sdt_lava.io.netx import load_network, save_network
from sdt_lava.ir import Graph
from tests.graphs import assert_same_graph
from tests.io.netx.damage import ORIGINALS


def _unsummed(graph, path):
    """Write a file in HDF5's oldest format, whose metadata have no checksums."""
    save_network(graph, path.with_suffix(".new"), compress=False)
    with h5py.File(path.with_suffix(".new")) as new, h5py.File(path, "w", libver="earliest") as old:
        for key, value in new.attrs.items():
            old.attrs[key] = value
        new.copy("layer", old)
    return path.read_bytes()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    contents = {}
    for name, make in ORIGINALS.items():
        graph = make()
        save_network(graph, folder / name)
        contents[name] = (folder / name).read_bytes()
        contents[f"{name}, unsummed"] = _unsummed(graph, folder / f"{name}.old")
    return contents


@given(data=st.data())
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes(tmp_path, originals, data):
    name = data.draw(st.sampled_from(sorted(originals)))
    content = bytearray(originals[name])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        value = data.draw(st.one_of(st.sampled_from((0, 1, 127, 128, 255)), st.integers(0, 255)))
        content[position : position + data.draw(st.sampled_from((1, 1, 2, 8)))] = bytes([value])
    path = tmp_path / "mutated.h5"
    path.write_bytes(content)
    try:
        graph = load_network(path)
    except NetworkFileError:
        return
    assert isinstance(graph, Graph)
    if "unsummed" in name:
        save_network(graph, tmp_path / "again.h5")
    else:  # every byte that matters is covered by a checksum
        assert_same_graph(graph, ORIGINALS[name]())
