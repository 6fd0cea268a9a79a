"""Forms of weights that kernels read count against the memory: what is made, what is left out."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run as run_program

import numpy as np
import pytest

from sdt_lava.engine import KERNELS, Engine, EngineOptions
from sdt_lava.engine.plan.synaptic import SynapticOperation
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Conv, Dense, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference

MIB = 1 << 20


def many_layers(layers: int, channels: int, groups: int, *, seed: int = 0) -> Graph:
    """A chain of convolutions with many groups: few weights, and many zeros between groups."""
    rng = np.random.default_rng(seed)
    nodes = [Input(name="input", shape=(channels, 2, 3))]
    for number in range(layers):
        weight = 2 * rng.integers(-40, 60, (channels, channels // groups, 3, 3))
        nodes += [
            Conv(
                name=f"conv{number}", inputs=(nodes[-1].name,), weight=weight, padding=(1, 1),
                groups=groups,
            ),
            Lif(name=f"lif{number}", inputs=(f"conv{number}",), threshold=60),
        ]  # fmt: skip
    return Graph.build(nodes, 2)


def spikes(graph: Graph) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (2, 2, *graph.input_shape))


def layers_of(engine: Engine) -> list[SynapticOperation]:
    return [op for op in engine.plan(()).operations if isinstance(op, SynapticOperation)]


def made_bytes(engine: Engine) -> int:
    """Bytes of the tables that exist."""
    kernels = [kernel for layer in layers_of(engine) for kernel in layer.kernels]
    arrays = [vars(kernel).get(name) for kernel in kernels for name in ("weights", "tables")]
    return sum(array.nbytes for array in arrays if array is not None)


@pytest.mark.parametrize("kernels", KERNELS[:-1])
def test_tables_have_the_size_that_is_reserved(kernels):
    for graph in (many_layers(2, 70, 1), many_layers(2, 64, 64), many_layers(1, 3, 1)):
        engine = Engine(graph, tracked=False, options=EngineOptions(kernels=kernels))
        engine.run(spikes(graph), ())
        for layer in layers_of(engine):
            for kernel in layer.kernels:
                made = [vars(kernel).get(name) for name in ("weights", "tables")]
                assert all(array is None or array.nbytes == kernel.table_bytes for array in made)
            assert layer.table_bytes > layer.synapses.mantissa.nbytes


@pytest.mark.parametrize("kernels", ["auto", "event", "lookup", "float64"])
def test_what_does_not_fit_is_left_out(kernels):
    graph = many_layers(12, 256, 256)
    frames = spikes(graph)
    expected = run_reference(graph, frames, strict=False)
    counted = {}
    for memory in (2 * MIB, 4 * MIB, 8 * MIB, 64 * MIB):
        options = EngineOptions(kernels=kernels, memory=memory)
        engine = Engine(graph, strict=False, tracked=False, options=options)
        for name, values in engine.run(frames, graph.lif_names).items():
            assert np.array_equal(values, expected[name]), (name, memory)
        counted[memory] = engine.plan(()).table_bytes, made_bytes(engine)
        assert engine.bytes_needed(frames[:, :1], ()) <= memory
        assert counted[memory][1] <= counted[memory][0] <= memory
    if kernels in ("auto", "event"):
        # Each of 12 tables takes 0.6 MB: the more memory, the more of them.
        numbers = [made for _, made in counted.values()]
        assert numbers == sorted(numbers) and numbers[0] < numbers[1] < numbers[-1]


def test_weights_that_fit_in_no_form_are_refused():
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-60, 60, (512, 1024))
    nodes = [Input(name="input", shape=(1024,))]
    nodes.append(Dense(name="fc", inputs=("input",), weight=weight))
    graph = Graph.build([*nodes, Lif(name="lif", inputs=("fc",), threshold=50)], 2)
    frames = spikes(graph)
    expected = run_reference(graph, frames)["lif"]
    engine = Engine(graph, options=EngineOptions(memory=64 * MIB))
    assert np.array_equal(engine.run(frames)["lif"], expected)
    needed = engine.plan().table_bytes
    for options in ({}, {"batch_size": 1}):
        small = Engine(graph, options=EngineOptions(memory=MIB, **options))
        with pytest.raises(ConfigError, match=r"memory: 1,048,576 bytes; allowed: [\d,]+ for"):
            small.run(frames)
    assert needed > MIB
    # The interpreter makes no tables.
    alone = Engine(graph, options=EngineOptions(memory=MIB, kernels="interpreter"))
    assert np.array_equal(alone.run(frames)["lif"], expected)


PROGRAM = """
import resource, sys
import numpy as np
from sdt_lava.engine import Engine, EngineOptions
from tests.engine.test_tables import many_layers, spikes

graph = many_layers(40, 512, 512)
small = many_layers(1, 8, 8)
Engine(small, tracked=False).run(spikes(small), ())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
options = EngineOptions(memory=64 << 20)
Engine(graph, strict=False, tracked=False, options=options).run(spikes(graph), ())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_process_does_not_grow_beyond_it():
    """All tables of these 40 layers take 95 MB; building one takes several times its size."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PROGRAM]
    ended = run_program(command, cwd=root, capture_output=True, text=True, timeout=250, check=True)
    assert int(ended.stdout) * 1024 < 64 * MIB
