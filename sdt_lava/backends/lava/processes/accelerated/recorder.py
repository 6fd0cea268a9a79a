"""Accelerate the model of the spike recorder."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.host_io import SpikeRecorder
from sdt_lava.backends.lava.processes.host_io.models import PySpikeRecorderModel
from sdt_lava.kernels.signals import record


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("accelerated")
class PySpikeRecorderModelAccelerated(PySpikeRecorderModel):
    """Recorder model that copies and checks values in one pass."""

    def _store(self, values: Any, row: Any) -> bool:
        return bool(record(values, row))
