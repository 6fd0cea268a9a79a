"""From NIR to the integer graph: exactly where our own metadata say how, else by quantization."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import nir

from sdt_lava.errors import NirError, QuantizationError
from sdt_lava.importers.nir.float_graph import FloatMaker
from sdt_lava.io.netx.rules import Violation, check_nodes, check_sizes
from sdt_lava.io.nir.exact import graph_metadata, header_number, restore_integers
from sdt_lava.io.nir.reader import read_nir
from sdt_lava.io.nir.units import DEFAULT_DT, FORMAT_KEY, FORMAT_VERSION
from sdt_lava.ir import LIF_KINDS, Graph, Input
from sdt_lava.quantize.integer import is_silent
from sdt_lava.quantize.nir_thresholds import check_reachable

if TYPE_CHECKING:
    from sdt_lava.quantize.post_training import CalibrationData
    from sdt_lava.quantize.report import QuantizationReport


@dataclass(frozen=True, kw_only=True)
class NirOptions:
    """What a NIR graph does not say.

    Parameters
    ----------
    timesteps : int, optional
        Steps T of one sample; graphs of `sdt_lava.nir.to_nir` say it.
    dt : float, optional
        Time step [s]; by default the graph's own, else 1e-4.
    requantize : bool
        Quantize the weights even if the graph holds the integers of a network of ours.
    bits : int
        Width of a weight when quantizing, 2 to 8.
    first_layer : {'full', 'fitted'}
        Weights of layers that read an image or counts, as :func:`sdt_lava.export` takes it.
    calibration : CalibrationData, optional
        Used when quantizing, where the range of a sum cannot be proved; in units of the input.
    input_scale : float
        Integer levels per unit of the input, for graphs of other programs.
    input_range : tuple of int
        Smallest and largest integer input, for graphs of other programs; by default spikes.
    input_shape : tuple of int, optional
        Shape of one frame, for graphs of other programs that do not say it, or another one.
    """

    timesteps: int | None = None
    dt: float | None = None
    requantize: bool = False
    bits: int = 8
    first_layer: str = "full"
    calibration: CalibrationData | None = None
    input_scale: float = 1.0
    input_range: tuple[int, int] = (0, 1)
    input_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class NirReport:
    """What importing a NIR graph involved.

    Parameters
    ----------
    exact : bool
        Whether the integers in the graph were taken as they are.
    dt : float
        Time step [s] that was used.
    notes : tuple of str
        What was rounded or moved, besides weights and thresholds.
    quantization : QuantizationReport or None
        What was done to weights and thresholds, if they were quantized.
    """

    exact: bool
    dt: float
    notes: tuple[str, ...]
    quantization: QuantizationReport | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        quantization = None if self.quantization is None else self.quantization.to_dict()
        return {
            "exact": self.exact, "dt": self.dt, "notes": list(self.notes),
            "quantization": quantization,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return the report as sentences."""
        how = "the integers in the graph, unchanged" if self.exact else "quantized weights"
        return [f"{how}; time step {self.dt:g} s", *self.notes]


def load_nir(
    path: str | os.PathLike[str], options: NirOptions | None = None
) -> tuple[Graph, NirReport]:
    """Read a NIR file as an integer graph.

    Parameters
    ----------
    path : path-like
        NIR file (HDF5).
    options : NirOptions, optional
        Parameters that the file does not define.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : NirReport
        What was done.

    Raises
    ------
    NetworkFileError
        If the file does not exist, or is damaged or malicious.
    NirError, GraphError, QuantizationError
        As for `sdt_lava.nir.from_nir`.
    """
    return from_nir(read_nir(path), options)


def from_nir(source: nir.NIRGraph, options: NirOptions | None = None) -> tuple[Graph, NirReport]:
    """Return the integer graph of a NIR graph.

    A graph made by `sdt_lava.nir.to_nir` gives back its network, node by node. Any other is
    discretised by Euler's method, quantized and reported on.

    Parameters
    ----------
    source : nir.NIRGraph
        Neurons (IF, LIF, CubaLIF, Threshold), layers between them (Affine, Linear, Conv1d, Conv2d,
        SumPool2d, AvgPool2d, Scale, Flatten, Delay), an integrator (I, LI, CubaLI) at the end,
        graphs inside, and loops that go through one population; one Input and one Output.
    options : NirOptions, optional
        What the graph does not say.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : NirReport
        What was done.

    Raises
    ------
    NirError
        If the graph has other nodes (all are named) or parameters that a network of ours lacks.
    GraphError
        If nodes do not fit together.
    QuantizationError
        If the network does not fit the integer ranges.
    """
    options = options or NirOptions()
    ours = _is_ours(source)
    timesteps = header_number(source, "timesteps") if ours else None
    timesteps = options.timesteps if timesteps is None else timesteps
    if timesteps is None:
        raise NirError(
            "NIR graph", "no number of time steps", "a sample of T steps",
            "pass timesteps (--timesteps N)",
        )  # fmt: skip
    dt = options.dt or (header_number(source, "dt", real=True) if ours else None) or DEFAULT_DT
    if not 0 < dt < float("inf"):
        raise NirError("dt", str(dt), "a positive number of seconds")
    entry = None if ours else (options.input_scale, *options.input_range)
    maker = FloatMaker(source, float(dt), entry, None if ours else options.input_shape)
    # Metadata are checked as late as their nodes: first what the graph is, then what it says.
    graph = Graph.build(maker.make(), int(timesteps), graph_metadata(source) if ours else {})
    if ours and not options.requantize:
        return _checked(restore_integers(graph, maker.metadata)), NirReport(
            True, float(dt), (), None
        )
    check_reachable(source, graph, maker)
    try:
        quantized, report = _quantized(graph, options)
    except QuantizationError as error:
        # What was read in one of two ways may be the reason.
        doubts = "; ".join(note for note in maker.notes if "--dt" in note)
        if not doubts:
            raise
        raise NirError(error.where, error.found, error.allowed, doubts) from error
    notes = (*maker.notes, *_membrane_notes(graph, report))
    return _checked(quantized), NirReport(False, float(dt), notes, report)


def _membrane_notes(graph: Graph, report: QuantizationReport) -> list[str]:
    """Say in which unit membranes are the result."""
    last = graph.nodes[graph.output_name]
    if not (isinstance(last, LIF_KINDS) and is_silent(last)):
        return []
    scale = next(row.scale for row in report.neurons if row.name == last.name)
    return [
        f"{last.name}: the result is its membrane after the last step; the logits are "
        f"{scale:.8g} times those of the file"
    ]


def _is_ours(source: nir.NIRGraph) -> bool:
    metadata = source.metadata if isinstance(source.metadata, dict) else {}
    if FORMAT_KEY not in metadata:
        return False
    version = header_number(source, FORMAT_KEY)
    if version != FORMAT_VERSION:
        raise NirError(
            f"NIR graph: metadata {FORMAT_KEY!r}",
            f"version {version}",
            str(FORMAT_VERSION),
            "update sdt-lava",
        )
    return True


def _quantized(graph: Graph, options: NirOptions) -> tuple[Graph, QuantizationReport]:
    """Quantize, with the input's scale out of the way: weights of NIR see what the input emits."""
    from sdt_lava.quantize.post_training import quantize

    scale, data = graph.input.scale, options.calibration
    if data is not None:
        data = replace(data, x=data.x * scale)
    plain = graph.rebuild(replace(n, scale=1.0) if isinstance(n, Input) else n for n in graph)
    quantized, report = quantize(plain, options.bits, data, first_layer=options.first_layer)
    nodes = (replace(n, scale=scale) if isinstance(n, Input) else n for n in quantized)
    return quantized.rebuild(nodes), report


def _checked(graph: Graph) -> Graph:
    try:
        check_nodes(graph.nodes.values())
        check_sizes(graph)
    except Violation as found:
        raise NirError(found.where, found.found, found.allowed, found.remedy) from None
    return graph
