"""Convert a NIR graph to the integer graph: exactly if it holds our metadata, else quantized."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import nir

from sdt_lava.errors import NirError, QuantizationError
from sdt_lava.importers.nir.float_graph import FloatMaker
from sdt_lava.io.netx.rules import InvalidValue, check_nodes, check_sizes
from sdt_lava.io.nir.exact import graph_metadata, header_number, restore_integers
from sdt_lava.io.nir.reader import read_nir
from sdt_lava.io.nir.units import DEFAULT_DT, FORMAT_KEY, FORMAT_VERSION
from sdt_lava.ir import Graph, Input, SpikingNeurons
from sdt_lava.quantize.integer import is_silent
from sdt_lava.quantize.nir_thresholds import check_reachable

if TYPE_CHECKING:
    from sdt_lava.quantize.report import QuantizationReport
    from sdt_lava.quantize.samples import CalibrationData


@dataclass(frozen=True, kw_only=True)
class NirOptions:
    """Options for converting a NIR graph: facts that the graph does not contain.

    Parameters
    ----------
    timesteps : int, optional
        Steps T of one sample; graphs written by `sdt_lava.nir.to_nir` contain them.
    dt : float, optional
        Time step [s]; by default the graph's own, else 1e-4.
    requantize : bool
        Quantize the weights even if the graph holds the integers of one of our networks.
    bits : int
        Width of a weight when quantizing, 2 to 8.
    first_layer : {'full', 'fitted'}
        How to quantize layers that read an image or counts, see :func:`sdt_lava.export`.
    calibration : CalibrationData, optional
        Data used in quantization if the range of a sum cannot be proved, in units of the input.
    input_scale : float
        Integer levels per unit of the input, for graphs of other programs.
    input_range : tuple of int
        Smallest and largest integer input, for graphs of other programs; spikes by default.
    input_shape : tuple of int, optional
        Shape of one frame, for graphs of other programs that do not contain it or a different one.
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
    """The report on importing a NIR graph.

    Parameters
    ----------
    exact : bool
        Whether the integers in the graph were used unchanged.
    dt : float
        Time step used [s].
    notes : tuple of str
        Notes on values that were rounded or moved, except weights and thresholds.
    quantization : QuantizationReport or None
        The changes to weights and thresholds, if they were quantized.
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
        origin = "the integers in the graph, unchanged" if self.exact else "quantized weights"
        return [f"{origin}; time step {self.dt:g} s", *self.notes]


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
        The report on the conversion.

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

    A graph written by `sdt_lava.nir.to_nir` yields the original network, node by node. Any other
    graph is discretised by Euler's method and quantized, with a report.

    Parameters
    ----------
    source : nir.NIRGraph
        Neurons (IF, LIF, CubaLIF, Threshold), layers between them (Affine, Linear, Conv1d, Conv2d,
        SumPool2d, AvgPool2d, Scale, Flatten, Delay), an integrator (I, LI, CubaLI) at the end,
        nested graphs, and loops that go through one population; one Input and one Output.
    options : NirOptions, optional
        Facts that the graph does not contain.

    Returns
    -------
    graph : Graph
        The integer graph.
    report : NirReport
        The report on the conversion.

    Raises
    ------
    NirError
        If the graph has other nodes (the error names all of them) or parameters that our networks
        cannot express.
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
    input_levels = None if ours else (options.input_scale, *options.input_range)
    maker = FloatMaker(source, float(dt), input_levels, None if ours else options.input_shape)
    # Metadata are checked after the structure of the graph, like their nodes.
    graph = Graph.build(maker.make(), int(timesteps), graph_metadata(source) if ours else {})
    if ours and not options.requantize:
        return _checked(restore_integers(graph, maker.metadata)), NirReport(
            True, float(dt), (), None
        )
    check_reachable(source, graph, maker)
    try:
        quantized, report = _quantized(graph, options)
    except QuantizationError as error:
        # The cause may be an ambiguous value that was read in the wrong one of two ways.
        doubts = "; ".join(note for note in maker.notes if "--dt" in note)
        if not doubts:
            raise
        raise NirError(error.where, error.found, error.allowed, doubts) from error
    notes = (*maker.notes, *_membrane_notes(graph, report))
    return _checked(quantized), NirReport(False, float(dt), notes, report)


def _membrane_notes(graph: Graph, report: QuantizationReport) -> list[str]:
    """Return a note on the unit of the result if it is a membrane."""
    last = graph.nodes[graph.output_name]
    if not (isinstance(last, SpikingNeurons) and is_silent(last)):
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
    """Quantize with an input scale of 1, because weights of NIR apply to the emitted integers."""
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
    except InvalidValue as found:
        raise NirError(found.where, found.found, found.allowed, found.remedy) from None
    return graph
