"""A NIR graph as a float graph: currents that are added as they are, one threshold a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from reprlib import repr as short_repr
from typing import Any

import nir
import numpy as np

from sdt_lava.errors import NirError
from sdt_lava.graph import Conv, Dense, Flatten, Input, Lif, Node, Readout, Shape, Synapse
from sdt_lava.limits import limits, remedy
from sdt_lava.nir.neurons import NEURONS, FloatArray, NeuronForm, neuron_form, numbers
from sdt_lava.nir.structure import Structure, read_structure
from sdt_lava.numerics import DECAY_UNITY

# Relative distance below which thresholds are the same number computed in another way.
_SAME = 1e-9


@dataclass
class FloatMaker:
    """Translate node by node.

    Parameters
    ----------
    source : nir.NIRGraph
        The graph.
    dt : float
        Time step [s].
    entry : tuple or None
        Scale, low and high of the input; None if its metadata say them.

    Attributes
    ----------
    notes : list of str
        What was rounded or moved.
    metadata : dict
        Metadata of the NIR nodes by name.
    """

    source: nir.NIRGraph
    dt: float
    entry: tuple[float, int, int] | None
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    # Flattens that only say what our dense layers do anyway: name to what they read.
    dropped: dict[str, str] = field(default_factory=dict)
    structure: Structure = field(init=False)

    def make(self) -> list[Node]:
        """Return the nodes of the float graph, inputs first."""
        structure = self.structure = read_structure(self.source, (*_READERS, nir.Output))
        for name in structure.order:
            node = structure.nodes[name]
            if isinstance(node, nir.Output):
                continue
            self.metadata[name] = node.metadata if isinstance(node.metadata, dict) else {}
            sources = tuple(self.dropped.get(read, read) for read in structure.sources[name])
            _READERS[type(node)](self, name, node, sources)
        return list(self.nodes.values())

    def add(self, node: Node) -> None:
        """Append a node; its shape follows."""
        texts = (self.metadata[node.name].get(key) for key in ("block", "origin"))
        block, origin = (text if isinstance(text, str) else "" for text in texts)
        node = replace(node, block=block, origin=origin)
        shape = node.output_shape([self.shapes[name] for name in node.inputs])
        most = limits().population
        if prod(shape) > most:
            raise NirError(node.name, f"{shape} outputs", f"at most {most}", remedy("population"))
        self.shapes[node.name] = shape
        self.nodes[node.name] = node

    def ends(self, name: str) -> bool:
        """Tell whether a synapse is read by the output alone."""
        return name == self.structure.output and len(self.structure.readers[name]) == 1


def _read_input(maker: FloatMaker, name: str, node: nir.Input, sources: tuple[str, ...]) -> None:
    shape = _shape(node.input_type, "input", name)
    more: dict[str, Any] = {}
    if maker.entry is not None:
        scale, low, high = maker.entry
    else:
        metadata = maker.metadata[name]
        scale = float(_entry(metadata, "scale", name))
        low, high = (int(_entry(metadata, key, name)) for key in ("low", "high"))
        if "offset" in metadata:
            more["offset"] = float(_entry(metadata, "offset", name))
        if "widens" in metadata:
            more["widens"] = bool(_entry(metadata, "widens", name))
    finite = np.isfinite(more.get("offset", 0.0))
    if not (low <= 0 <= high and low < high and 0 < scale < np.inf and finite):
        raise NirError(
            f"{name}: input range", f"{low} to {high}, {scale} levels a unit",
            "low <= 0 <= high, low < high, a positive scale, a finite offset",
        )  # fmt: skip
    maker.add(Input(name=name, shape=shape, scale=scale, low=low, high=high, **more))


def _entry(metadata: Mapping[str, Any], key: str, name: str) -> float:
    value = numbers(metadata.get(key), f"{name}: metadata {key!r}")
    if value.size != 1:
        raise NirError(f"{name}: metadata {key!r}", f"{value.size} numbers", "one number")
    return float(value.reshape(()))


def _shape(types: Any, key: str, name: str) -> Shape:
    sides = types.get(key) if isinstance(types, dict) else None
    values = numbers(sides, f"{name}: shape").reshape(-1)
    if (values != np.rint(values)).any() or values.min() < 1 or values.max() > 2**31:
        raise NirError(f"{name}: shape", short_repr(values.tolist()), "positive integers")
    return tuple(int(side) for side in values)


def _read_flatten(
    maker: FloatMaker, name: str, node: nir.Flatten, sources: tuple[str, ...]
) -> None:
    source = _single(name, sources)
    axes = len(maker.shapes[source])
    start, end = (_pair(value, name)[0] for value in (node.start_dim, node.end_dim))
    if axes > 1 and (start != 0 or end not in (-1, axes - 1)):
        found = f"{start} and {end} of {axes} axes"
        raise NirError(f"{name}: start_dim, end_dim", found, "all axes: 0 and -1")
    if maker.metadata[name].get("implicit") is not None:
        maker.dropped[name] = source
        return
    maker.add(Flatten(name=name, inputs=(source,)))


def _read_linear(maker: FloatMaker, name: str, node: Any, sources: tuple[str, ...]) -> None:
    weight = numbers(node.weight, f"{name}: weight")
    if weight.ndim != 2:
        raise NirError(f"{name}: weight", f"shape {weight.shape}", "(outputs, inputs)")
    bias = None
    if isinstance(node, nir.Affine):
        bias = _channels(node.bias, len(weight), f"{name}: bias")
    kind = Readout if maker.ends(name) else Dense
    maker.add(kind(name=name, inputs=(_single(name, sources),), weight=weight, bias=bias))


def _read_conv(maker: FloatMaker, name: str, node: nir.Conv2d, sources: tuple[str, ...]) -> None:
    weight = numbers(node.weight, f"{name}: weight")
    if weight.ndim != 4:
        raise NirError(f"{name}: weight", f"shape {weight.shape}", "(O, C/groups, kH, kW)")
    stride, dilation = (
        _pair(getattr(node, key), f"{name}: {key}") for key in ("stride", "dilation")
    )
    conv = Conv(
        name=name,
        inputs=(_single(name, sources),),
        weight=weight,
        bias=_channels(node.bias, len(weight), f"{name}: bias"),
        stride=stride,
        padding=_padding(node.padding, weight.shape[2:], stride, dilation, f"{name}: padding"),
        dilation=dilation,
        groups=_pair(node.groups, f"{name}: groups")[0],
    )
    maker.add(conv)


def _single(name: str, sources: tuple[str, ...]) -> str:
    if len(sources) != 1:
        raise NirError(f"{name}", f"reads {list(sources)}", "one node: add synapses for the others")
    return sources[0]


def _channels(values: Any, channels: int, where: str) -> FloatArray:
    bias = numbers(values, where)
    if bias.shape not in ((channels,), (), (1,)):
        raise NirError(where, f"shape {bias.shape}", f"({channels},)")
    return np.broadcast_to(bias, (channels,)).copy()


def _pair(values: Any, where: str) -> tuple[int, int]:
    sides = numbers(values, where).reshape(-1)
    if sides.size not in (1, 2) or (sides != np.rint(sides)).any() or abs(sides).max() > 2**31:
        raise NirError(where, short_repr(sides.tolist()), "one or two integers")
    return int(sides[0]), int(sides[-1])


def _padding(
    values: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    where: str,
) -> tuple[int, int]:
    if not isinstance(values, str):
        return _pair(values, where)
    reach = [step * (side - 1) for side, step in zip(kernel, dilation, strict=True)]
    if values == "valid":
        return 0, 0
    if values == "same" and stride == (1, 1) and not any(side % 2 for side in reach):
        return reach[0] // 2, reach[1] // 2
    raise NirError(where, repr(values), "numbers, 'valid', or 'same' for odd kernels and stride 1")


def _read_neurons(maker: FloatMaker, name: str, node: Any, sources: tuple[str, ...]) -> None:
    synapses = [_synapse(maker, name, source) for source in sources]
    if not synapses:
        raise NirError(name, "neurons that read nothing", "a synapse before them")
    shape = maker.shapes[sources[0]]
    form = neuron_form(node, name, shape, maker.dt)
    thresholds = _by_channel(form.threshold, shape[0], f"{name}: thresholds")
    bias = _by_channel(form.bias, shape[0], f"{name}: v_leak")
    common = float(thresholds.min())
    if np.ptp(thresholds) > _SAME * common:
        bias = _scale_channels(maker, name, synapses, common / thresholds, bias)
    _check_biases(name, form, synapses)
    _note_losses(maker, name, form)
    lif = Lif(
        name=name,
        inputs=tuple(sources),
        threshold=common,
        voltage_decay=form.voltage_decay,
        current_decay=form.current_decay,
        bias=bias if bias.any() else None,
    )
    maker.add(lif)


def _by_channel(values: FloatArray, channels: int, where: str) -> FloatArray:
    """Return the value of each channel, where all neurons of a channel have the same."""
    if values.size == 1:
        return np.full(channels, float(values.reshape(())))
    rows = values.reshape(channels, -1)
    if (np.ptp(rows, axis=1) > _SAME * np.abs(rows).max(axis=1)).any():
        raise NirError(where, "values that differ within a channel", "one for each channel")
    return rows[:, 0].copy()


def _synapse(maker: FloatMaker, name: str, source: str) -> Synapse:
    synapse = maker.nodes.get(source)
    if not isinstance(synapse, (Conv, Dense)):
        kind = type(maker.structure.nodes[source]).__name__
        raise NirError(name, f"neurons that read {source!r} ({kind})", "Affine, Linear or Conv2d")
    readers = maker.structure.readers[source]
    if len(readers) != 1:
        found = f"a current with {len(readers)} readers {list(readers)}"
        raise NirError(source, found, "one population of neurons")
    return synapse


def _scale_channels(
    maker: FloatMaker, name: str, synapses: list[Synapse], factors: FloatArray, bias: FloatArray
) -> FloatArray:
    """Move different thresholds of channels into the weights before them."""
    for synapse in synapses:
        rows = factors.reshape(-1, *(1,) * (synapse.weight.ndim - 1))
        weight = np.asarray(synapse.weight, np.float64) * rows
        scaled = None if synapse.bias is None else np.asarray(synapse.bias, np.float64) * factors
        maker.nodes[synapse.name] = replace(synapse, weight=weight, bias=scaled)
    maker.notes.append(f"{name}: thresholds of the channels are in the weights before it")
    return bias * factors


def _check_biases(name: str, form: NeuronForm, synapses: list[Synapse]) -> None:
    biased = [node.name for node in synapses if node.bias is not None and node.bias.any()]
    if biased and form.current_decay != DECAY_UNITY:
        raise NirError(
            name,
            f"a current with memory that integrates the bias of {biased}",
            "biases in v_leak, or neurons without memory in the current",
            "train without that bias",
        )


def _note_losses(maker: FloatMaker, name: str, form: NeuronForm) -> None:
    for share, decay in form.losses:
        if abs(share * DECAY_UNITY - decay) > _SAME * decay:
            maker.notes.append(f"{name}: dt/tau = {share:.6g} rounded to {decay}/{DECAY_UNITY}")


_READERS: Mapping[type, Callable[[FloatMaker, str, Any, tuple[str, ...]], None]] = {
    nir.Input: _read_input,
    nir.Flatten: _read_flatten,
    nir.Linear: _read_linear,
    nir.Affine: _read_linear,
    nir.Conv2d: _read_conv,
    **dict.fromkeys(NEURONS, _read_neurons),
}
SUPPORTED = (*_READERS, nir.Output)
