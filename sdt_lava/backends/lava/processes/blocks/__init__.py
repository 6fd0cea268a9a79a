"""Hierarchical Lava processes that show the network's blocks."""

from sdt_lava.backends.lava.processes.blocks.process import Block, SpikingNetwork

__all__ = ["Block", "SpikingNetwork"]
