"""Torch modules that families of networks share: neurons, synapses, recording."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
