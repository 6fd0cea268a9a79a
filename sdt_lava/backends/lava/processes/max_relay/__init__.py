"""Simulate max pooling of currents on the CPU."""

from sdt_lava.backends.lava.processes.max_relay.process import MaxRelay

__all__ = ["MaxRelay"]
