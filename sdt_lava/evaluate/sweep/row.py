"""A row of a sweep: one width of weights, one lowering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SweepRow:
    """A network with a weight width and a lowering.

    Parameters
    ----------
    bits : int
        Width of the weights.
    shortcut, sdsa : str
        Lowerings of shortcuts and SDSA.
    accuracy, top5 : float or None
        Accuracy on all samples; None without labels.
    synops : float
        Mean number of synaptic operations per sample in the lowered network.
    energy_nj : dict of str to float
        Mean energy per sample [nJ], by model.
    not_charged : dict of str to list of str
        Operations that occur but have no cost, by model.
    neurons, synapses, weights, processes : int
        Size as defined by :class:`sdt_lava.compiler.cost.LoweringCounts`; a convolution counts its
        kernel once as weights, and every connection as a synapse.
    latency : int
        Number of machine steps between a frame and its output.
    file_bytes : int
        Size of the network file, which does not depend on the lowering.
    """

    bits: int
    shortcut: str
    sdsa: str
    accuracy: float | None
    top5: float | None
    synops: float
    energy_nj: dict[str, float]
    not_charged: dict[str, list[str]]
    neurons: int
    synapses: int
    weights: int
    processes: int
    latency: int
    file_bytes: int

    @property
    def name(self) -> str:
        """Short name, such as '8 bit, relay, and'."""
        return f"{self.bits} bit, {self.shortcut}, {self.sdsa}"
