"""Select the ProcessModels to run: Lava's own, accelerated or fused ones.

The Processes are the same in each case. Lava asks a run configuration for the model of each
Process, which its map of exceptions can override. A different configuration therefore runs a
network from :meth:`~sdt_lava.backends.deployment.Deployment.build`, or any other network of Lava's
standard processes, with different models.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.run_configs import Loihi2SimCfg

from sdt_lava.errors import ConfigError, ResourceError

FIXED_POINT = "fixed_pt"
MODELS = ("lava", "accelerated", "fused-blocks", "fused")


def run_config(models: str = "lava") -> Loihi2SimCfg:
    """Return Lava's run configuration for the fixed-point CPU simulator.

    Parameters
    ----------
    models : {'lava', 'accelerated', 'fused-blocks', 'fused'}
        Lava's own ProcessModels, our compiled models of the standard processes, or one ProcessModel
        for each block of a `SpikingNetwork` or for the whole network. All produce the same spikes.

    Raises
    ------
    ConfigError
        If there are no models of that name.
    ResourceError
        If our kernels differ from Lava on this processor.
    """
    if models not in MODELS:
        raise ConfigError("models", repr(models), f"one of {MODELS}")
    return Loihi2SimCfg(select_tag=FIXED_POINT, exception_proc_model_map=_exceptions(models))


def _exceptions(models: str) -> dict[Any, Any]:
    if models == "lava":
        return {}
    from sdt_lava.backends.lava.processes.accelerated import ACCELERATED_MODELS
    from sdt_lava.kernels.trials import models_pass
    from sdt_lava.kernels.warm_up import warm_up

    if not models_pass():
        raise ResourceError(
            "models",
            f"wrong results of the kernels of {models!r} on this processor",
            "exact ones",
            "use models='lava'",
        )
    warm_up()
    if models == "accelerated":
        return dict(ACCELERATED_MODELS)
    from sdt_lava.backends.lava.processes.fused import FUSED_BLOCK_MODELS, FUSED_NETWORK_MODELS

    fused = FUSED_NETWORK_MODELS if models == "fused" else FUSED_BLOCK_MODELS
    # In a larger network, standard processes outside the fused ones are accelerated.
    return {**ACCELERATED_MODELS, **fused}
