"""Define the fused ProcessModels of the network and its blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.blocks.process import (
    ClassificationHead,
    Layers,
    PatchSplitting,
    SpikeDrivenSelfAttention,
    SpikingMlp,
    SpikingNetwork,
)
from sdt_lava.backends.lava.processes.fused.program import FusedProgram
from sdt_lava.backends.lava.processes.ports import (
    IN_PORT_PREFIX,
    OUT_PORT_PREFIX,
    PortsOnDemand,
    Receiver,
)
from sdt_lava.compiler.partition import BlockContent
from sdt_lava.support.allocation import zeros


class _FusedModel(PyLoihiProcessModel, metaclass=PortsOnDemand):
    """ProcessModel of a program; it sends before it receives, as Lava's connections do."""

    def __init__(
        self,
        proc_params: Any,
        contents: Sequence[BlockContent],
        inputs: Mapping[str, str],
        outputs: Sequence[str],
    ) -> None:
        super().__init__(proc_params)
        self._program = FusedProgram(contents)
        self._input_ports = inputs
        self._output_names = outputs
        # Lava creates ports after the model.
        self._inputs: list[tuple[Receiver, Any]] = []
        self._outputs: list[tuple[Any, Any]] = []

    def _find_ports(self) -> None:
        self._inputs = [
            (Receiver(getattr(self, port)), self._program.entry(name))
            for name, port in self._input_ports.items()
        ]
        ports = {
            name: getattr(self, f"{OUT_PORT_PREFIX}{index}")
            for index, name in enumerate(self._output_names)
        }
        read = [name for name, port in ports.items() if port.csp_ports]
        self._places = self._program.places(read)
        sizes = self._places["rows"] * self._places["columns"]
        # The buffers are parts of one array, so that a single call fills all of them.
        self._sent = zeros(int(sizes.sum()), np.int32)
        parts = np.split(self._sent, np.cumsum(sizes)[:-1])
        self._outputs = [(ports[name], part) for name, part in zip(read, parts, strict=False)]

    def run_spk(self) -> None:
        """Advance all populations, send, receive, and propagate events."""
        if not self._inputs:
            self._find_ports()
        program = self._program
        program.advance(self.time_step)
        program.take(self._places, self._sent)
        for port, values in self._outputs:
            port.send(values)
        for receive, entry in self._inputs:
            program.put(entry, receive())
        program.propagate()


@implements(proc=SpikingNetwork, protocol=LoihiProtocol)
@requires(CPU)
@tag("fused")
class PyFusedNetworkModel(_FusedModel):
    """Fused model of a whole network."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        inputs = {proc_params["input_name"]: "inp"}
        super().__init__(proc_params, proc_params["blocks"], inputs, proc_params["observed"])


class _FusedBlockModel(_FusedModel):
    def __init__(self, proc_params: Any) -> None:
        content: BlockContent = proc_params["content"]
        inputs = {name: f"{IN_PORT_PREFIX}{index}" for index, name in enumerate(content.sources)}
        super().__init__(proc_params, [content], inputs, content.outputs)


def _fused_block(process: type) -> type:
    """Create the ProcessModel class for a kind of block; the classes are otherwise identical."""
    name = f"PyFused{process.__name__}Model"
    body = {"__doc__": f"A whole {process.__name__}.", "__module__": __name__}
    model = PortsOnDemand(name, (_FusedBlockModel,), body)
    decorated: type = implements(proc=process, protocol=LoihiProtocol)(
        requires(CPU)(tag("fused")(model))
    )
    return decorated


FUSED_NETWORK_MODELS = {SpikingNetwork: PyFusedNetworkModel}
FUSED_BLOCK_MODELS = {
    process: _fused_block(process)
    for process in (
        ClassificationHead,
        Layers,
        PatchSplitting,
        SpikeDrivenSelfAttention,
        SpikingMlp,
    )
}
