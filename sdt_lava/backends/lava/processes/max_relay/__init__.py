"""Max-pool of currents for the CPU simulator."""

from sdt_lava.backends.lava.processes.max_relay.process import MaxRelay

__all__ = ["MaxRelay"]
