"""The run configuration for hardware, which here runs the fixed-point models of the CPU."""

from __future__ import annotations

import os
import time

from lava.magma.core.run_configs import Loihi2SimCfg


class FakeConfig(Loihi2SimCfg):
    """What a test wants to go wrong is in ``FakeConfig.trouble``; a child inherits it."""

    trouble = ""

    def __init__(self, exception_proc_model_map=None, callback_fxs=None):
        super().__init__(select_tag="fixed_pt", exception_proc_model_map=exception_proc_model_map)
        self.callback_fxs = callback_fxs

    def select(self, process, proc_models):
        if self.trouble == "unreachable":
            raise ConnectionRefusedError(111, "Connection refused")
        if self.trouble == "driver":
            raise RuntimeError("N3Driver: no such chip")
        if self.trouble == "hangs":
            time.sleep(600)
        if self.trouble == "dies":
            os._exit(9)
        return super().select(process, proc_models)
