"""Represent the network's blocks as hierarchical Lava processes."""

from sdt_lava.backends.lava.processes.blocks.process import Block, SpikingNetwork

__all__ = ["Block", "SpikingNetwork"]
