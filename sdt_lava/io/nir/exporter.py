"""Convert an integer graph to NIR without loss."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from sdt_lava.errors import NirError, QuantizationError
from sdt_lava.io.files import replacing
from sdt_lava.io.netx.rules import InvalidValue, check_nodes
from sdt_lava.io.nir.units import DEFAULT_DT, FORMAT_KEY, FORMAT_VERSION, steps_of
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Graph,
    Input,
    Lif,
    Node,
    Readout,
    SpikingNeurons,
    Synapse,
)
from sdt_lava.ir.numerics import BIAS_EXPONENT, DECAY_UNITY

FloatArray = NDArray[np.float64]

# Operations that NIR lacks, by node kind; for other kinds, the error gives no reason.
_LACKING = {
    "and": "a logical AND of spikes",
    "delta": "graded messages of what changes",
    "max_pool": "a maximum over windows",
    "or_pool": "a maximum over windows",
    "sigma": "a sum over time of messages",
    "sigma_delta": "graded messages of what changes",
    "shortcut": "a sum of currents as a node of its own",
    "subsample": "a choice of positions",
    "token_dilate": "a maximum over tokens and channels",
    "token_mean": "a mean over positions of currents",
    "token_sum": "a sum over positions",
}
_SHOWN_NAMES = 16


def save_nir(graph: Graph, path: str | os.PathLike[str], dt: float = DEFAULT_DT) -> None:
    """Write an integer graph to a NIR file, atomically.

    Parameters
    ----------
    graph : Graph
        As in `to_nir`.
    path : path-like
        File to create or replace.
    dt : float
        Time step [s].

    Raises
    ------
    NirError
        If NIR cannot represent the network, or the file cannot be written.
    QuantizationError
        If a value is outside its integer range.
    """
    nir_graph = to_nir(graph, dt)
    with replacing(path, NirError) as temporary:
        # Build the file in memory first, as sdt_lava.io.netx does: HDF5 does not fail cleanly on a
        # full disk.
        content = io.BytesIO()
        nir.write(content, nir_graph)
        temporary.write_bytes(content.getvalue())


def to_nir(graph: Graph, dt: float = DEFAULT_DT) -> nir.NIRGraph:
    """Convert an integer graph to a NIR graph.

    Weights, thresholds and biases are the integers, as float64; the input is the integer input.
    Metadata store what NIR has no field for, so that `sdt_lava.nir.from_nir` can restore the graph.

    Parameters
    ----------
    graph : Graph
        Integer graph of input, conv, dense, flatten, lif, cuba_lif and readout nodes.
    dt : float
        Time step [s], the unit of the time constants.

    Raises
    ------
    NirError
        If NIR has no node for a kind; the message names all such nodes.
    QuantizationError
        If a value is outside its integer range.
    """
    if not 0 < dt < np.inf:
        raise NirError("dt", str(dt), "a positive number of seconds")
    _check_kinds(graph)
    _check_currents(graph)
    try:
        check_nodes(graph.nodes.values())
    except InvalidValue as found:
        raise QuantizationError(found.where, found.found, found.allowed, found.remedy) from None
    maker = _Maker(graph, dt)
    for position, node in enumerate(graph):
        _WRITERS[type(node)](maker, node, {"position": position, **_texts(node)})
    return maker.finish()


def _check_kinds(graph: Graph) -> None:
    unsupported: dict[str, list[str]] = {}
    for node in graph:
        if type(node) not in _WRITERS:
            unsupported.setdefault(node.kind, []).append(node.name)
        for name in _further_fields(node):
            unsupported.setdefault(f"{node.kind} with {name}", []).append(node.name)
    if unsupported:
        raise NirError(
            "network",
            "NIR has no node for " + "; ".join(_describe(*item) for item in unsupported.items()),
            ", ".join(sorted(kind.kind for kind in _WRITERS)),
            "keep the network in our own file format (net.h5)",
        )


def _further_fields(node: Node) -> list[str]:
    """Return the fields that are set but cannot be written: none may be dropped silently."""
    supported = _FIELDS.get(type(node), ())
    return [
        item.name
        for item in fields(node)
        if type(node) in _WRITERS
        and item.name not in (*_COMMON_FIELDS, *supported)
        and not np.array_equal(getattr(node, item.name), item.default)  # type: ignore[arg-type]
    ]


def _describe(kind: str, names: list[str]) -> str:
    reason = f" ({_LACKING[kind]})" if kind in _LACKING else ""
    suffix = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{kind}{reason}: {', '.join(map(repr, names[:_SHOWN_NAMES]))}{suffix}"


def _check_currents(graph: Graph) -> None:
    """Check that each current has a single reader, so that its bias can be moved to the synapse."""
    for node in graph:
        readers = graph.consumers[node.name]
        if isinstance(node, (Conv, Dense)) and len(readers) != 1:
            raise NirError(
                f"node {node.name!r} ({node.kind})",
                f"a current with {len(readers)} readers {list(readers)}",
                "one population of neurons",
            )
        if "/" in node.name or node.name in (".", ".."):
            raise NirError(f"node {node.name!r}", "a name that is a path in HDF5", "no '/'")


def _texts(node: Node) -> dict[str, str]:
    return {key: getattr(node, key) for key in ("block", "origin") if getattr(node, key)}


@dataclass
class _Maker:
    """Collects the nodes and edges of a NIR graph."""

    graph: Graph
    dt: float
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    # Delay nodes by the population they follow; consumers of the population read the delay node.
    sent: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, node: nir.NIRNode, sources: tuple[str, ...] = ()) -> None:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]

    def read(self, name: str, node: nir.NIRNode, sources: tuple[str, ...]) -> None:
        """Add a node that reads populations through their delay nodes, if they have any."""
        self.add(name, node, tuple(self.sent.get(source, source) for source in sources))

    def free_name(self, wanted: str) -> str:
        name = wanted
        while name in self.nodes or name in self.graph.nodes:
            name += "_"
        return name

    def finish(self) -> nir.NIRGraph:
        output_name = self.graph.output_name
        output = nir.Output(np.array(self.graph.shapes[output_name]))
        self.read(self.free_name("output"), output, (output_name,))
        metadata = {
            FORMAT_KEY: FORMAT_VERSION,
            "dt": float(self.dt),
            "timesteps": self.graph.timesteps,
            "network": _json(self.graph.metadata),
        }
        # NIR 1.0.8's own type check mistakes the channels of a group for all channels, and the
        # height of a kernel for its width.
        return nir.NIRGraph(self.nodes, self.edges, metadata=metadata, type_check=False)


def _json(metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NirError(
            "metadata of the graph", f"a value that JSON cannot hold: {error}", "plain values"
        ) from error


def _write_input(maker: _Maker, node: Input, metadata: dict[str, Any]) -> None:
    metadata |= {"scale": float(node.scale), "low": int(node.low), "high": int(node.high)}
    metadata |= {"offset": float(node.offset), "widens": int(node.widens)}
    maker.add(node.name, nir.Input(np.array(node.shape), metadata=metadata))


def _write_flatten(maker: _Maker, node: Flatten, metadata: dict[str, Any]) -> None:
    shape = np.array(maker.graph.shapes[node.inputs[0]])
    maker.read(node.name, nir.Flatten(shape, 0, -1, metadata=metadata), node.inputs)


def _write_conv(maker: _Maker, node: Conv, metadata: dict[str, Any]) -> None:
    _, height, width = maker.graph.shapes[node.inputs[0]]
    bias = _synapse_bias(maker.graph, node)
    conv = nir.Conv2d(
        input_shape=(height, width),
        weight=_weight(node),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        bias=np.zeros(len(node.weight)) if bias is None else bias,
        metadata=metadata | {"exponent": _exponent(node)},
    )
    maker.read(node.name, conv, node.inputs)


def _write_dense(maker: _Maker, node: Dense, metadata: dict[str, Any]) -> None:
    sources, shape = node.inputs, maker.graph.shapes[node.inputs[0]]
    if len(shape) > 1:
        # Our dense layers read an image in memory order; NIR's linear layers read vectors.
        name = maker.free_name(f"{node.name}.flatten")
        flatten = nir.Flatten(np.array(shape), 0, -1, metadata={"implicit": 1})
        maker.read(name, flatten, sources)
        sources = (name,)
    metadata |= {"exponent": _exponent(node)}
    bias = _synapse_bias(maker.graph, node)
    # Affine even without a bias, because Sinabs cannot read Linear.
    bias = np.zeros(len(node.weight)) if bias is None else bias
    maker.read(node.name, nir.Affine(_weight(node), bias, metadata=metadata), sources)


def _write_readout(maker: _Maker, node: Readout, metadata: dict[str, Any]) -> None:
    metadata |= {"exponent": _exponent(node), "scale": float(node.scale)}
    metadata |= {"has_bias": int(node.bias is not None)}
    bias = np.zeros(len(node.weight)) if node.bias is None else node.bias.astype(np.float64)
    maker.read(node.name, nir.Affine(_weight(node), bias, metadata=metadata), node.inputs)


def _write_lif(maker: _Maker, node: Lif, metadata: dict[str, Any]) -> None:
    _add_neurons(maker, node, metadata)


def _write_cuba(maker: _Maker, node: CubaLif, metadata: dict[str, Any]) -> None:
    """Write recurrence as a loop through a matrix, and delays as a node after the neurons."""
    shape = maker.graph.shapes[node.name]
    arrays = [name for name in _BY_CHANNEL if np.ndim(getattr(node, name))]
    metadata |= {"kind": node.kind, "drive_shift": int(node.drive_shift)}
    metadata |= {"arrays": ",".join(arrays)}
    _add_neurons(maker, node, metadata)
    if node.weight_rec is not None:
        recurrence = maker.free_name(f"{node.name}.w_rec")
        maker.add(recurrence, nir.Linear(node.weight_rec.astype(np.float64)), (node.name,))
        maker.edges.append((recurrence, node.name))
    if np.any(node.delay):
        delay = maker.dt * _spread(np.asarray(node.delay, np.float64), shape)
        name = maker.free_name(f"{node.name}.delay")
        maker.add(name, nir.Delay(delay, metadata={"implicit": 1}), (node.name,))
        maker.sent[node.name] = name


def _add_neurons(maker: _Maker, node: SpikingNeurons, metadata: dict[str, Any]) -> None:
    shape = maker.graph.shapes[node.name]
    metadata |= {"bias_exponent": node.bias_exponent, "has_bias": int(node.bias is not None)}
    has_memory = _remembers(node)
    # If the current has no memory, the bias is on the synapse, as in most frameworks.
    bias = 0.0 if _biased_synapse(maker.graph, node) else _bias(node)
    share = 2.0**-node.drive_shift
    steps = _spread(steps_of(node.voltage_decay), shape)
    gain = share * steps
    common = {
        "v_threshold": _spread(np.asarray(node.threshold, np.float64), shape),
        "v_reset": np.zeros(shape),
        "metadata": metadata,
    }
    if not has_memory and not np.any(node.voltage_decay) and not np.any(bias):
        # NIR's integrator has no unit of time: all frameworks add r times the input in each step.
        maker.read(node.name, nir.IF(r=np.full(shape, share), **common), node.inputs)
        return
    common |= {"r": gain, "v_leak": gain * _spread(np.asarray(bias, np.float64), shape)}
    if not has_memory:
        maker.read(node.name, nir.LIF(tau=steps * maker.dt, **common), node.inputs)
        return
    current_steps = _spread(steps_of(node.current_decay), shape)
    neuron = nir.CubaLIF(
        tau_mem=steps * maker.dt, tau_syn=current_steps * maker.dt, w_in=current_steps, **common
    )
    maker.read(node.name, neuron, node.inputs)


def _remembers(node: SpikingNeurons) -> bool:
    return bool(np.any(np.asarray(node.current_decay) != DECAY_UNITY))


def _spread(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Broadcast values per channel, or a single value, to all neurons."""
    values = np.asarray(values, np.float64)
    rows = values.reshape(-1, *(1,) * (len(shape) - 1)) if values.ndim else values
    return np.broadcast_to(rows, shape).copy()


def _weight(node: Synapse) -> FloatArray:
    """Return the weights scaled by their exponents, exactly."""
    exponents = node.channel_exponents.reshape(-1, *(1,) * (node.weight.ndim - 1))
    return np.ldexp(node.weight.astype(np.float64), exponents)


def _exponent(node: Synapse) -> int | NDArray[np.int64]:
    return int(node.exponent) if not np.ndim(node.exponent) else node.channel_exponents.copy()


def _bias(node: SpikingNeurons) -> FloatArray | float:
    """Return the bias in units of an activation, ``(C,)``; 0 without bias."""
    if node.bias is None:
        return 0.0
    return np.ldexp(node.bias.astype(np.float64), node.bias_exponent - BIAS_EXPONENT)


def _biased_synapse(graph: Graph, neuron: SpikingNeurons) -> str | None:
    """Return the synapse that carries a population's bias in NIR; None if the population does."""
    synapse = graph.nodes[neuron.inputs[0]]
    if neuron.bias is None or _remembers(neuron) or not isinstance(synapse, (Conv, Dense)):
        return None
    return synapse.name


def _synapse_bias(graph: Graph, node: Synapse) -> FloatArray | None:
    """Return the bias of the neurons after a synapse if NIR stores it on the synapse, else None."""
    neuron = graph.nodes[graph.consumers[node.name][0]]
    assert isinstance(neuron, SpikingNeurons)
    if _biased_synapse(graph, neuron) != node.name:
        return None
    return np.asarray(_bias(neuron), np.float64)


# Writers of the kinds that NIR can represent.
_WRITERS: Mapping[type[Node], Callable[[_Maker, Any, dict[str, Any]], None]] = {
    Input: _write_input,
    Conv: _write_conv,
    Dense: _write_dense,
    Flatten: _write_flatten,
    Lif: _write_lif,
    CubaLif: _write_cuba,
    Readout: _write_readout,
}
# Fields of each kind that the writers support.
_COMMON_FIELDS = ("name", "inputs", "block", "origin")
_SYNAPSE_FIELDS = ("weight", "bias", "exponent")
_BY_CHANNEL = ("threshold", "voltage_decay", "current_decay", "delay")
_FIELDS: Mapping[type[Node], tuple[str, ...]] = {
    Input: ("shape", "scale", "low", "high", "offset", "widens"),
    Conv: (*_SYNAPSE_FIELDS, "stride", "padding", "dilation", "groups"),
    Dense: _SYNAPSE_FIELDS,
    Flatten: (),
    Lif: ("threshold", "voltage_decay", "current_decay", "bias", "bias_exponent"),
    CubaLif: (*_BY_CHANNEL, "bias", "bias_exponent", "drive_shift", "weight_rec"),
    Readout: (*_SYNAPSE_FIELDS, "scale"),
}
