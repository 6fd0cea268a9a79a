"""Simulate recurrent and delayed neurons on the CPU."""

from sdt_lava.backends.lava.processes.cuba.process import CubaLif

__all__ = ["CubaLif"]
