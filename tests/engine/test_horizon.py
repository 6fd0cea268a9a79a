"""Ranges that hold for the steps of a sample do not hold for longer ones."""

import numpy as np
import pytest

from sdt_lava.engine import Engine
from sdt_lava.engine.options import EngineOptions
from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir import Dense, Graph, Input, Lif
from sdt_lava.ir.reference import run_reference


def _counting(timesteps):
    """A neuron that adds everything up and does not reach its threshold."""
    return Graph.build(
        [
            Input(name="input", shape=(1,)),
            Dense(name="fc", inputs=("input",), weight=np.array([[-254]])),
            Lif(name="out", inputs=("fc",), threshold=131_071, voltage_decay=0),
        ],
        timesteps,
    )


@pytest.mark.parametrize("kernels", ["auto", "interpreter"])
def test_longer_samples_are_watched(kernels):
    graph = _counting(timesteps=4)
    fits = 2**23 // (254 << 6)
    for steps, overflows in ((4, False), (fits, False), (fits + 1, True)):
        frames = np.ones((steps, 1, 1), np.int64)
        options = EngineOptions(kernels=kernels)
        engine = Engine(graph, tracked=False, options=options)
        for run in (engine.run, lambda x: run_reference(graph, x)):
            if overflows:
                with pytest.raises(NumericOverflowError, match="membrane"):
                    run(frames)
            else:
                assert not run(frames)["out"].any()
