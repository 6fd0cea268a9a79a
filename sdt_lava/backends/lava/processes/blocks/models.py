"""Build blocks from LIF, GradedVec, Sparse, Dense and Conv processes, as SubProcessModels."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sdt_lava.backends.lava.processes.blocks.process import (
    Block,
    ClassificationHead,
    Layers,
    PatchSplitting,
    SpikeDrivenSelfAttention,
    SpikingMlp,
    SpikingNetwork,
    block_class,
)
from sdt_lava.backends.lava.processes.leaves import make_connection, make_population
from sdt_lava.compiler.partition import BlockContent, Connection


class _BlockModel(AbstractSubProcessModel):
    """SubProcessModel that builds and connects the populations of a block."""

    def __init__(self, proc: Block) -> None:
        content: BlockContent = proc.content
        self._neurons: dict[str, Any] = {
            node.name: make_population(node, content.shapes[node.name], content.schedule)
            for node in content.populations
        }
        # Lava finds sub-processes among the attributes of a model.
        for index, process in enumerate(self._neurons.values()):
            setattr(self, f"population_{index}", process)
        for index, connection in enumerate(content.connections):
            setattr(self, f"connection_{index}", self._wire(proc, connection))
        for name in content.outputs:
            self._neurons[name].s_out.connect(proc.out_port(name))

    def _wire(self, proc: Block, connection: Connection) -> Any:
        inside = self._neurons.get(connection.source)
        source = proc.in_port(connection.source) if inside is None else inside.s_out
        return make_connection(connection, source, self._neurons[connection.reader].a_in)


@implements(proc=PatchSplitting, protocol=LoihiProtocol)
class SubPatchSplittingModel(_BlockModel):
    """SubProcessModel of a PatchSplitting."""


@implements(proc=SpikeDrivenSelfAttention, protocol=LoihiProtocol)
class SubSpikeDrivenSelfAttentionModel(_BlockModel):
    """SubProcessModel of a SpikeDrivenSelfAttention."""


@implements(proc=SpikingMlp, protocol=LoihiProtocol)
class SubSpikingMlpModel(_BlockModel):
    """SubProcessModel of a SpikingMlp."""


@implements(proc=ClassificationHead, protocol=LoihiProtocol)
class SubClassificationHeadModel(_BlockModel):
    """SubProcessModel of a ClassificationHead."""


@implements(proc=Layers, protocol=LoihiProtocol)
class SubLayersModel(_BlockModel):
    """SubProcessModel of layers without a named block."""


@implements(proc=SpikingNetwork, protocol=LoihiProtocol)
class SubSpikingNetworkModel(AbstractSubProcessModel):
    """SubProcessModel that connects the blocks of a network through shared populations."""

    def __init__(self, proc: SpikingNetwork) -> None:
        home: dict[str, Block] = {}
        for index, content in enumerate(proc.proc_params["blocks"]):
            block = block_class(content.name)(content)
            setattr(self, f"block_{index}", block)
            for name in content.sources:
                source = proc.inp if name == proc.proc_params["input_name"] else None
                (source or home[name].out_port(name)).connect(block.in_port(name))
            home.update(dict.fromkeys(content.outputs, block))
        for name in proc.observed:
            home[name].out_port(name).connect(proc.out_port(name))
