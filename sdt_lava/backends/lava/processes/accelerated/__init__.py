"""Accelerate ProcessModels of Lava's standard processes, with bit-identical results.

There are models of Conv, Dense, Sparse, their delayed variants, LIF, LIFReset and GradedVec, and of
our recorder.

The models derive from Lava's fixed-point models and replace the work of a time step: they process
events instead of dense sums, with compiled loops and tables that are built once. Variables keep
their values and shapes, so they can be read and set as before. Cases that the fast paths do not
cover, such as floating-point messages, fall back to Lava's code.
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
