"""Run a whole block or network in one operating system process, with fused ProcessModels.

They are alternatives to the SubProcessModels of the same Processes, with the same ports, latencies
and spikes. Lava does not find them by itself, so a run configuration uses standard processes unless
it requests these (:func:`sdt_lava.backends.lava.processes.run_config.run_config`).
"""

from sdt_lava.backends.lava.processes.fused.models import FUSED_BLOCK_MODELS, FUSED_NETWORK_MODELS

__all__ = ["FUSED_BLOCK_MODELS", "FUSED_NETWORK_MODELS"]
