"""A small network file and data for it."""

import numpy as np
import pytest

import sdt_lava
from tests.graphs import random_frames, random_sdt_graph

SAMPLES = 40


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """Return paths of a network and of its data."""
    folder = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(11)
    graph = random_sdt_graph(rng, image=(2, 4, 4), channels=4)
    frames = random_frames(rng, graph, batch=SAMPLES)
    x = np.swapaxes(frames, 0, 1).astype(np.float32) / graph.input.scale
    classes = int(np.prod(graph.shapes[graph.output_name]))
    y = rng.integers(0, classes, SAMPLES)
    network, data = folder / "net.h5", folder / "data.npz"
    sdt_lava.save_network(graph, network)
    np.savez(data, x=x, y=y)
    return network, data
