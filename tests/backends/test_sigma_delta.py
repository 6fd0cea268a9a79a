"""Sigma-delta neurons: their equation, 32-bit wrapping, and every simulator on random networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdt_lava
from sdt_lava.backends.machine.run import run_machine
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import Delta, Dense, Graph, Input, Sigma, SigmaDelta
from sdt_lava.ir.bounds import bound
from sdt_lava.ir.encoding import enter
from sdt_lava.ir.sigma_delta_runs import starting_states
from tests.needs import runnable
from tests.sigma_delta_graphs import random_sigma_delta_chain

KINDS = st.fixed_dictionaries(
    {
        "shape": st.sampled_from([(2, 5, 4), (1, 3, 7), (1,), (5,)]),
        "channels": st.sampled_from([(3,), (1, 2)]),
        "features": st.sampled_from([(), (4,), (1, 5)]),
        "lead": st.booleans(),
        "encodes": st.booleans(),
        "decodes": st.booleans(),
    }
)


def chain(seed, **options):
    options["features"] = options.get("features", (4,)) or (1,)
    return random_sigma_delta_chain(np.random.default_rng(seed), **options)


def assert_same(result, expected, names):
    for name in names:
        assert np.array_equal(result[name], expected[name]), name


def slow_input(rng, samples, steps, shape):
    return np.cumsum(rng.normal(0, 0.3, (samples, steps, *shape)), axis=1).clip(-3, 3)


def test_the_equation():
    """One neuron by hand: what is below the threshold waits, fractions of a message are lost."""
    neuron = SigmaDelta(
        name="n",
        inputs=("x",),
        threshold=2,
        bias=np.array([1]),
        spike_exponent=1,
        state_exponent=2,
    )
    population = neuron.population((1, 1))
    # The threshold is 16 and the bias 8 in the units of the state.
    arriving = [5, 2, 3, -40, 30, -1]
    sent = [int(population.step(np.array([[current]]))[0].item()) for current in arriving]
    # sigma 5 7 10 -30 0 -1, activation 13 15 18 0 8 7
    assert sent == [0, 0, 4, -5, 0, 0]
    assert [part.item() for part in population.state] == [-1, 7, 7]


def test_what_an_input_changes():
    encoder = Delta(name="n", inputs=("x",), threshold=2).population((1, 1))
    sent = [int(encoder.step(np.array([[value]]))[0].item()) for value in (1, 2, 2, 3, 0, 0)]
    assert sent == [0, 2 * 64, 0, 0, -2 * 64, 0]


@given(
    seed=st.integers(0, 10**6), options=KINDS, samples=st.integers(1, 3), steps=st.integers(1, 5)
)
@settings(max_examples=40, deadline=None)
def test_reference_engine_and_machine(seed, options, samples, steps):
    graph = chain(seed, **options)
    rng = np.random.default_rng(seed)
    x = slow_input(rng, samples, steps, graph.input_shape)
    names = graph.message_names
    for reset in (True, False):
        # States of some of these networks leave 24 bits.
        expected = sdt_lava.simulate(graph, x, "reference", reset=reset, strict=False)
        batch = 1 + seed % 2
        engine = sdt_lava.simulate(graph, x, "engine", reset=reset, batch_size=batch, strict=False)
        assert_same(engine.messages, expected.messages, names)
        compiled = sdt_lava.compile(graph, timesteps=steps, reset=reset)
        fitting, frames = enter(graph, x)
        assert_same(run_machine(compiled, frames).outputs, expected.messages, names)
        bounds = bound(replace(fitting, timesteps=steps * samples)).intervals
        for name, values in expected.messages.items():
            low, high = bounds[name]
            assert low.min() <= values.min() <= values.max() <= high.max(), name


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(4))
def test_lava(seed):
    rng = np.random.default_rng(seed)
    graph = chain(seed, lead=seed % 2 == 0, decodes=seed != 2)
    x = slow_input(rng, 2, 4, graph.input_shape)
    for reset in (True, False):
        expected = sdt_lava.simulate(graph, x, "engine", reset=reset).messages
        assert all(values.any() for values in expected.values())
        for models in ("lava", "fused"):
            result = sdt_lava.simulate(graph, x, "lava-inprocess", reset=reset, models=models)
            assert_same(result.messages, expected, graph.message_names)


def test_a_lead_is_a_run_without_input():
    """Neurons send their bias, then what the biases of the layers in front make of them."""
    graph = Graph.build(
        [
            Input(name="input", shape=(1,), scale=64.0, low=-256, high=254),
            Delta(name="encoder", inputs=("input",), threshold=0),
            Dense(name="s1", inputs=("encoder",), weight=np.array([[64]])),
            SigmaDelta(name="a", inputs=("s1",), threshold=5, bias=np.array([6]), lead=1),
            Dense(name="s2", inputs=("a",), weight=np.array([[32]])),
            SigmaDelta(name="b", inputs=("s2",), threshold=5, bias=np.array([7]), lead=2),
        ],
        timesteps=1,
    )
    starts = {
        name: [part.item() for part in parts] for name, parts in starting_states(graph).items()
    }
    one = 1 << 12
    # b has sent its 7, then kept the 3 that the 6 of a have made of it.
    assert starts["a"] == [0, 6 * one, 0]
    assert starts["b"] == [3 * one, 10 * one, 3 * one]
    result = sdt_lava.simulate(graph, np.array([[[10 / 64]]]))
    # 10 more for a, and 5 more for b, which sends all 8 of them.
    assert result.messages["a"].item() == 10 * 64
    assert result.messages["b"].item() == 8 * 64


def overflowing():
    """Messages of one input that add up to more than 24 bits, and to more than 32."""
    weight = np.full((1, 4), 254, np.int32)
    return Graph.build(
        [
            Input(name="input", shape=(4,), scale=64.0, low=-2047, high=2047),
            Delta(name="encoder", inputs=("input",), threshold=0),
            Dense(name="s1", inputs=("encoder",), weight=weight, exponent=7),
            SigmaDelta(name="hidden", inputs=("s1",), threshold=1),
            Dense(name="s2", inputs=("hidden",), weight=np.array([[2]], np.int32)),
            Sigma(name="out", inputs=("s2",)),
        ],
        timesteps=3,
    )


def test_states_beyond_24_bits():
    graph = overflowing()
    x = np.array([[1.0], [4.0], [-20.0]])[None] * np.ones(4)
    for backend in runnable(["reference", "engine", "lava-inprocess"]):
        with pytest.raises(NumericOverflowError, match="24-bit"):
            sdt_lava.simulate(graph, x, backend)
    expected = sdt_lava.simulate(graph, x, "reference", strict=False).messages
    assert (np.abs(np.cumsum(x[0, :, 0]) * 64 * 2**6 * 254 * 4 * 2**7) > 2**31).any()
    forms = [
        ("engine", {}),
        ("lava-inprocess", {"models": "lava"}),
        ("lava-inprocess", {"models": "fused"}),
    ]
    for backend, options in runnable(forms):
        result = sdt_lava.simulate(graph, x, backend, strict=False, **options)
        assert_same(result.messages, expected, graph.message_names)


def test_counts_by_hand():
    """Messages that are not 0, and a multiplication for each synapse that they cross."""
    graph = Graph.build(
        [
            Input(name="input", shape=(2,), scale=64.0, low=-256, high=254),
            Delta(name="encoder", inputs=("input",), threshold=4),
            Dense(name="s", inputs=("encoder",), weight=np.array([[2, 4], [6, 8], [2, 2]])),
            Sigma(name="out", inputs=("s",)),
        ],
        timesteps=1,
    )
    # The second value changes twice by 3: too little, then enough together.
    x = np.array([[8, 8], [8, 11], [8, 14], [0, 14]])[None] / 64
    result = sdt_lava.simulate(graph, x)
    assert np.count_nonzero(result.messages["encoder"], axis=(1, 2)).tolist() == [2, 0, 1, 1]
    encoder, out = result.synops.layers
    assert encoder.events == 4
    assert (out.synapse, out.mac) == (4 * 3, 4 * 3)
    # Each value that is not 0 enters its encoder.
    assert (encoder.shortcut, encoder.mac) == (7, 0)
    assert result.counts.layers[2].connections[0].operation == "mac"
