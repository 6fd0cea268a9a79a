"""A stand-in for Intel's extension, at the border where we import it.

Its adapters are processes on the CPU that treat payloads as the chip does, and its run
configuration selects the fixed-point models, so that a "run on hardware" really runs.
"""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import numpy as np

SINFO = """PARTITION AVAIL TIMELIMIT NODES STATE NODELIST
oheogulch up 2:00:00 1 down* ncl-og-01
oheogulch up 2:00:00 3 idle ncl-og-[02-04]
kp* up 20:00 1 idle ncl-kp-01
"""


class Loihi2Power:
    def __init__(self, num_steps):
        self.num_steps = num_steps
        self.total_power = np.array([1.0, 3.0])
        self.static_total_power = 0.5
        self.vdd_power = np.array([1.0, 1.0])
        self.vddm_power = np.array([0.25])
        self.vddio_power = 0.125


class Loihi2ExecutionTime:
    avg_time_per_step = 25.0  # [us]


class Loihi2Activity:
    syn_ops = np.array([10, 20, 0])
    dendrite_updates = np.array([5, 6, 0])
    spikes_in = np.array([1, 2, 3])

    @property
    def axon_out(self):
        raise RuntimeError("not in this version")


class Loihi2Memory:
    total_mpds = np.array([0.25, 0.75])


def install(monkeypatch, *, sinfo=SINFO):
    """Put the extension in place; `sinfo` is what SLURM answers, None for no SLURM."""
    from lava.magma.core import run_configs
    from lava.utils import slurm

    from tests.fake_loihi import adapters
    from tests.fake_loihi.config import FakeConfig

    profilers = (Loihi2Power, Loihi2ExecutionTime, Loihi2Activity, Loihi2Memory)
    _module(monkeypatch, "lava.utils.loihi2_profiler", *profilers)
    spike = _module(monkeypatch, "lava.proc.embedded_io.spike", *adapters.ALL)
    _module(monkeypatch, "lava.proc.embedded_io").spike = spike
    monkeypatch.setattr(run_configs, "Loihi2HwCfg", FakeConfig)

    def answer(command):
        if command[0] == "ping":
            return ["1 received"] if "127.0.0.1" in command else []
        if sinfo is None:
            raise FileNotFoundError(2, "No such file or directory", command[0])
        return sinfo.splitlines()

    monkeypatch.setattr(slurm, "try_run_command", answer)
    for name in ("SLURM", "NOSLURM", "BOARD", "PARTITION", "LOIHI_GEN", "NXSDKHOST"):
        monkeypatch.delenv(name, raising=False)


def _module(monkeypatch, name, *classes):
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    for kind in classes:
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, name, module)
    return module
