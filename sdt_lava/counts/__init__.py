"""Count the events, operations and synaptic operations of a network exactly."""

from sdt_lava.support.lazy import lazy

__getattr__ = lazy(__name__)
