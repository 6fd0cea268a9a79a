"""Simulate a network file, in Lava's CPU simulator by default: the same as ``sdt-sim``."""

from sdt_lava.cli import main_sim

if __name__ == "__main__":
    main_sim()
