"""Torch modules shared by families of networks: neurons, synapses, recording."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
