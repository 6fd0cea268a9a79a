"""Faster ProcessModels of Lava's standard processes, bit-identical to Lava's own.

Convolution, Dense, Sparse, their delayed variants, LIF, LIFReset and GradedVec; and our recorder.

They derive from Lava's fixed-point models and replace what happens in a time step: events instead
of dense sums, compiled loops, and tables that are made once. Variables keep their values and
shapes, so that reading and setting them works as before. What the fast paths do not cover (such
as floating-point messages or a decay of one's own for each neuron) takes Lava's code.
"""

from sdt_lava.backends.lava.processes.accelerated.conv import PyConvModelAccelerated
from sdt_lava.backends.lava.processes.accelerated.dense import (
    PyDelayDenseModelAccelerated,
    PyDenseModelAccelerated,
)
from sdt_lava.backends.lava.processes.accelerated.neurons import (
    PyGradedVecModelAccelerated,
    PyLifModelAccelerated,
    PyLifResetModelAccelerated,
)
from sdt_lava.backends.lava.processes.accelerated.recorder import PySpikeRecorderModelAccelerated
from sdt_lava.backends.lava.processes.accelerated.sparse import (
    PyDelaySparseModelAccelerated,
    PySparseModelAccelerated,
)

ACCELERATED_MODELS = {
    model.implements_process: model
    for model in (
        PyConvModelAccelerated,
        PyDelayDenseModelAccelerated,
        PyDelaySparseModelAccelerated,
        PyDenseModelAccelerated,
        PyGradedVecModelAccelerated,
        PyLifModelAccelerated,
        PyLifResetModelAccelerated,
        PySparseModelAccelerated,
        PySpikeRecorderModelAccelerated,
    )
}

__all__ = ["ACCELERATED_MODELS"]
