"""Describe a target: named limits, boards and supported kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdt_lava.errors import TargetError

# Limits that a target may state, with their units. A limit that is not stated is unlimited.
LIMITS: Mapping[str, str] = {
    "cores_per_chip": "neuron cores",
    "neurons_per_core": "neurons",
    "neuron_groups_per_core": "populations",
    "axons_in_per_core": "input axons",
    "axons_out_per_core": "output axons",
    "axon_destinations": "cores that one output axon reaches",
    "messages_per_core": "maximum number of messages that a core sends in a step",
    "synapse_memory_per_core": "bytes",
    "synapse_memory_unit": "bytes, minimum for an input axon",
    "synapse_bits": "bits of an individually stored synapse",
    "shared_synapse_bits": "bits of a weight that a convolution shares",
    "shared_delay_max": "delay of a convolution that shares its weights, in machine steps",
    "weight_min": "integer weight",
    "weight_max": "integer weight",
    "mixed_weight_step": "weights of a matrix with both signs are multiples of it",
    "weight_exponent_min": "power of two",
    "weight_exponent_max": "power of two",
    "conv_exponent_max": "power of two, of a convolution",
    "threshold_max": "mantissa, shifted by six bits",
    "bias_min": "mantissa",
    "bias_max": "mantissa",
    "bias_exponent_max": "power of two",
    "decay_max": "share of a state lost per step, in 1/4096",
    "state_max": "magnitude of u and v",
    "activation_max": "magnitude of a neuron's summed input in a step",
    "payload_max": "magnitude of a graded spike",
    "message_bits_max": "bits of a graded spike",
    "delay_max": "machine steps",
    "fan_in_max": "synapses of a neuron",
    "fan_out_max": "synapses that a spike reaches",
    "conv_input_reported": "neurons that a convolution reads; more are reported not to run",
    "conv_width_reported": "columns that a convolution reads; more are reported to be inexact",
    "input_latency": "machine steps until an event of the host reaches the first synapses",
    "output_latency": "machine steps until an event reaches the host",
    "lif_scaling_reported": "1 if neurons are reported to differ from the simulator's",
}


@dataclass(frozen=True)
class Limit:
    """A limit of a target.

    Parameters
    ----------
    value : int
        The limit, in the unit that `LIMITS` gives for its name.
    source : str
        Source of the number, or its derivation.
    """

    value: int
    source: str


@dataclass(frozen=True)
class Board:
    """A board with chips of a target.

    Parameters
    ----------
    name : str
        Name of the board.
    chips : int
        Number of chips.
    source : str
        Source of the number.
    partitions : tuple of str
        SLURM partitions with such boards.
    """

    name: str
    chips: int
    source: str
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A device or simulator that runs compiled networks.

    Parameters
    ----------
    name : str
        Short name, as for ``--target``.
    title : str
        Human-readable name.
    kinds : tuple of str
        Kinds of compiled nodes that the target runs.
    kinds_source : str
        Source for the supported kinds.
    processes : tuple of str
        Lava processes for which the target has models; empty if it has models for all.
    limits : mapping of str to Limit
        Limits by name. A missing limit is unknown or does not exist.
    boards : mapping of str to Board
        Boards by name; empty for a simulator.
    default_board : str
        Name of the board to use by default; empty for a simulator.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    kinds_source: str
    processes: tuple[str, ...]
    limits: Mapping[str, Limit]
    boards: Mapping[str, Board]
    default_board: str

    def limit(self, name: str) -> int | None:
        """Return the value of a limit, or None if the target does not state it."""
        if name not in LIMITS:
            raise KeyError(name)
        limit = self.limits.get(name)
        return None if limit is None else limit.value

    def source(self, name: str) -> str:
        """Return the source of a limit, or '' if the target does not state it."""
        limit = self.limits.get(name)
        return "" if limit is None else limit.source

    @property
    def is_hardware(self) -> bool:
        """Whether the target has boards, and therefore neuron cores."""
        return bool(self.boards)

    def board(self, name: str | None = None) -> Board:
        """Return the board with a name, or the default board.

        Raises
        ------
        TargetError
            If the target has no such board.
        """
        board_name = self.default_board if name is None else name
        if board_name not in self.boards:
            found = f"board {name!r}" if name else "no board"
            raise TargetError(f"target {self.name!r}", found, f"one of {list(self.boards)}")
        return self.boards[board_name]
