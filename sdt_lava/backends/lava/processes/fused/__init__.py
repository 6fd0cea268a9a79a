"""ProcessModels that run a whole block, or the whole network, in one operating system process.

They stand next to the SubProcessModels of the same Processes: the same ports, the same latencies
and the same spikes. Lava does not find them by itself, so that a run configuration gets standard
processes unless it asks for these (:func:`sdt_lava.backends.lava.processes.run_config.run_config`).
"""

from sdt_lava.backends.lava.processes.fused.models import FUSED_BLOCK_MODELS, FUSED_NETWORK_MODELS

__all__ = ["FUSED_BLOCK_MODELS", "FUSED_NETWORK_MODELS"]
