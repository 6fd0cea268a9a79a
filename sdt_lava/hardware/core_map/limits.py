"""Read the limits of a target's cores that a core map must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdt_lava.errors import CompileError, TargetError
from sdt_lava.hardware.targets import Target
from sdt_lava.ir.numerics import IntArray

# Resources of a core, and the limits of a target that restrict them.
RESOURCES: Mapping[str, str] = {
    "neurons": "neurons_per_core",
    "neuron_groups": "neuron_groups_per_core",
    "synapse_memory": "synapse_memory_per_core",
    "axons_in": "axons_in_per_core",
    "axons_out": "axons_out_per_core",
    "messages": "messages_per_core",
}
UNITS: Mapping[str, str] = {
    "neurons": "neurons",
    "neuron_groups": "neuron groups",
    "synapse_memory": "bytes of synaptic memory",
    "axons_in": "input axons",
    "axons_out": "output axons",
    "messages": "messages in a step",
}
# Remedies if a single neuron needs more than a core has.
_FEWER_SYNAPSES = "reduce the fan-in: fewer input channels, a smaller kernel, or relays in between"
_FEWER_TARGETS = "reduce the fan-out, or send through relay neurons"
REMEDIES: Mapping[str, str] = {
    "neurons": "a target with neurons_per_core of at least 1",
    "neuron_groups": "a target with neuron_groups_per_core of at least 1",
    "synapse_memory": _FEWER_SYNAPSES,
    "axons_in": _FEWER_SYNAPSES,
    "axons_out": _FEWER_TARGETS,
    "messages": _FEWER_TARGETS,
}
# Exceeds any count, and sums of several such values do not overflow.
UNLIMITED = 2**60


@dataclass(frozen=True)
class CoreLimits:
    """Limits of a core and costs of its synapses.

    Parameters
    ----------
    target : Target
        Target that defines the limits.
    capacity : mapping of str to int
        Limit for each resource; `UNLIMITED` if the target states none.
    cores_per_chip : int
        Neuron cores of a chip; `UNLIMITED` if the target states none.
    synapse_bits : int
        Bits of a synapse that is stored individually.
    memory_unit : int
        Allocation unit of synaptic memory in bytes.
    shared_bits : int or None
        Bits of a weight that a convolution shares; None if the target shares no weights.
    shared_delay : int
        Longest delay of a convolution that shares its weights.
    axon_destinations : int
        Cores that one output axon reaches.
    """

    target: Target
    capacity: Mapping[str, int]
    cores_per_chip: int
    synapse_bits: int
    memory_unit: int
    shared_bits: int | None
    shared_delay: int
    axon_destinations: int

    def explicit_bytes(self, synapses: IntArray) -> IntArray:
        """Return the bytes of an input axon's synapses on a core, each stored individually."""
        return self._allotted(synapses * self.synapse_bits)

    def shared_bytes(self, weights: IntArray) -> IntArray:
        """Return the bytes of weights that all positions share."""
        assert self.shared_bits is not None
        return self._allotted(weights * self.shared_bits)

    def axon_entries(self, destinations: IntArray) -> IntArray:
        """Return the number of output axons that reach a number of cores."""
        return -(-destinations // self.axon_destinations)

    def _allotted(self, bits: IntArray) -> IntArray:
        return -(-bits // (8 * self.memory_unit)) * self.memory_unit


def core_limits(target: Target) -> CoreLimits:
    """Read the limits of a target's cores.

    Raises
    ------
    CompileError
        If the target is a simulator without cores.
    TargetError
        If the target limits synaptic memory without stating the bits of a synapse.
    """
    if not target.is_hardware:
        raise CompileError(
            f"target {target.name!r}",
            "no neuron cores to map to",
            "a target with boards, such as loihi2",
        )
    memory = target.limit("synapse_memory_per_core")
    bits = target.limit("synapse_bits")
    if memory is not None and bits is None:
        raise TargetError(
            f"target {target.name!r}",
            "synapse_memory_per_core without synapse_bits",
            "both, so that the memory of a synapse is known",
        )
    return CoreLimits(
        target=target,
        capacity={
            resource: _or_unlimited(target.limit(name)) for resource, name in RESOURCES.items()
        },
        cores_per_chip=max(1, _or_unlimited(target.limit("cores_per_chip"))),
        synapse_bits=bits or 0,
        memory_unit=max(1, target.limit("synapse_memory_unit") or 1),
        shared_bits=target.limit("shared_synapse_bits"),
        shared_delay=_or_unlimited(target.limit("shared_delay_max")),
        axon_destinations=max(1, _or_unlimited(target.limit("axon_destinations"))),
    )


def _or_unlimited(value: int | None) -> int:
    return UNLIMITED if value is None else value
