"""Recurrent and delayed neurons for the CPU simulator."""

from sdt_lava.backends.lava.processes.cuba.process import CubaLif

__all__ = ["CubaLif"]
