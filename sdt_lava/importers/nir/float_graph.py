"""Convert a NIR graph to a float graph, with one synapse between two populations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np

from sdt_lava.importers.grid import grid_of
from sdt_lava.importers.nir.constants import constant_source
from sdt_lava.importers.nir.delays import read_delay
from sdt_lava.importers.nir.entry import frame_shape, input_node, input_shape
from sdt_lava.importers.nir.layers import LAYERS
from sdt_lava.importers.nir.maker import Maker
from sdt_lava.importers.nir.neurons import LEAKY, NEURONS, NeuronForm, neuron_form
from sdt_lava.importers.nir.operators import Reshape, as_matrix
from sdt_lava.importers.nir.populations import (
    Arriving,
    Layout,
    Population,
    by_channel,
    decay_field,
    layout_of,
    scaled_rows,
)
from sdt_lava.importers.nir.readout import check_is_last, read_output
from sdt_lava.importers.nir.structure import read_structure
from sdt_lava.io.nir.values import FloatArray
from sdt_lava.ir import CubaLif, Lif, Node, Shape, SpikingNeurons

# Relative difference below which thresholds are considered equal.
_SAME = 1e-9
# Largest magnitude of an 8-bit weight.
_STEPS = 127


def _read_input(maker: Maker, name: str, node: nir.Input) -> None:
    shape, note = input_shape(maker.structure, name, maker.shape)
    if note:
        maker.notes.append(note)
    ours = frame_shape(shape)
    if ours != shape:
        maker.notes.append(f"{name}: frames of shape {shape} are presented as {ours}")
    maker.add(input_node(name, ours, maker.metadata[name], maker.entry))
    maker.sent[name] = Population(name, shape, ours)


def _read_neurons(maker: Maker, name: str, node: Any) -> None:
    others, recurrent, shape = maker.arriving(name)
    form = neuron_form(node, name, shape, maker.dt, integers=maker.exact)
    maker.notes += form.notes
    constant = np.zeros(())
    for arrives in (*others, *recurrent):
        more = arrives.constant()
        constant = constant if more is None else constant + more
    layout = layout_of(name, others, shape, (*_arrays(form), constant))
    weight_rec = None
    if recurrent:
        size = prod(shape)
        weight_rec = sum(as_matrix(arrives.layers, shape, size, name) for arrives in recurrent)
    if maker.exact and maker.metadata[name].get("kind") == CubaLif.kind:
        _add_as_it_is(maker, name, form, others, weight_rec, layout)
        return
    synapses = maker.add_synapses(name, others, layout)
    thresholds, factors = _threshold(maker, name, form, layout, synapses, weight_rec)
    if factors is not None:
        form = replace(form, bias=form.bias * factors.form)
        constant = constant * factors.form
        weight_rec = None if weight_rec is None else weight_rec * factors.rows(shape)
        for synapse in synapses:
            maker.nodes[synapse] = scaled_rows(maker.nodes[synapse], factors.channels)
    bias = form.bias
    if form.remembers and constant.any():
        synapses.append(constant_source(maker, name, others, layout, by_channel(constant, layout)))
    else:
        bias = bias + constant
    maker.add(_population(name, synapses, form, thresholds, bias, weight_rec, layout))
    maker.sent[name] = Population(name, shape, layout.ours)


def _read_leaky(maker: Maker, name: str, node: Any) -> None:
    check_is_last(maker.structure, name, node)
    _read_neurons(maker, name, node)


def _arrays(form: NeuronForm) -> tuple[FloatArray, ...]:
    arrays = form.voltage_decay, form.current_decay, form.threshold, form.bias
    return arrays if form.gain is None else (*arrays, form.gain)


@dataclass(frozen=True)
class _Factors:
    """Factors for the rows of the weights before a population."""

    form: FloatArray
    channels: FloatArray

    def rows(self, shape: Shape) -> FloatArray:
        return np.broadcast_to(self.form, shape).reshape(-1, 1)


def _threshold(
    maker: Maker,
    name: str,
    form: NeuronForm,
    layout: Layout,
    synapses: list[str],
    weight_rec: Any,
) -> tuple[FloatArray | float, _Factors | None]:
    """Return the threshold, and weight factors that make it the same for all neurons.

    Quantised weights and thresholds are not changed, since they need no rounding.
    """
    if form.gain is not None and not maker.exact:
        # All membranes are then those of NIR times one scale.
        return np.inf, _Factors(form.gain, by_channel(form.gain, layout))
    common = float(form.threshold.min())
    if np.ptp(form.threshold) <= _SAME * common:
        return common, None
    weights = [maker.nodes[synapse].weight for synapse in synapses]  # type: ignore[attr-defined]
    if weight_rec is not None:
        weights.append(weight_rec)
    if all(grid_of(values, _STEPS) is not None for values in (*weights, form.threshold)):
        return by_channel(form.threshold, layout), None
    factors = common / form.threshold
    maker.notes.append(f"{name}: thresholds of the channels are in the weights before it")
    return common, _Factors(factors, by_channel(factors, layout))


def _population(
    name: str,
    synapses: list[str],
    form: NeuronForm,
    threshold: Any,
    bias: FloatArray,
    weight_rec: Any,
    layout: Layout,
) -> SpikingNeurons:
    values = by_channel(bias, layout)
    common: dict[str, Any] = {
        "name": name,
        "inputs": tuple(synapses),
        "threshold": threshold,
        "bias": values if values.any() else None,
    }
    decays = {
        key: decay_field(getattr(form, key), layout) for key in ("voltage_decay", "current_decay")
    }
    if weight_rec is None and not any(np.ndim(value) for value in (threshold, *decays.values())):
        return Lif(**common, **decays)
    return CubaLif(**common, **decays, weight_rec=weight_rec)


def _add_as_it_is(
    maker: Maker,
    name: str,
    form: NeuronForm,
    others: list[Arriving],
    weight_rec: Any,
    layout: Layout,
) -> None:
    """Add CUBA neurons written by sdt-lava; the metadata restore their integers."""
    synapses = []
    for arrives in others:
        if all(isinstance(layer, Reshape) for layer in arrives.layers):
            source = maker.add_flattens(arrives)
            synapses.append(source)
            layout = Layout(arrives.after, maker.shapes[source], True)
        else:
            synapses += maker.add_synapses(name, [arrives], layout)
    node = CubaLif(
        name=name,
        inputs=tuple(synapses),
        threshold=by_channel(form.threshold, layout),  # type: ignore[arg-type]
        voltage_decay=by_channel(form.voltage_decay, layout).astype(np.int64),
        current_decay=by_channel(form.current_decay, layout).astype(np.int64),
        bias=by_channel(form.bias + _constants(others), layout),
        weight_rec=weight_rec,
    )
    maker.add(node)
    maker.sent[name] = Population(name, others[0].after, layout.ours)


def _constants(others: list[Arriving]) -> FloatArray:
    constants = [arrives.constant() for arrives in others]
    return np.sum([values for values in constants if values is not None], axis=0, dtype=np.float64)


_SENDERS: Mapping[type, Callable[[Maker, str, Any], None]] = {
    nir.Input: _read_input,
    **dict.fromkeys(NEURONS, _read_neurons),
    **dict.fromkeys(LEAKY, _read_leaky),
    nir.Delay: read_delay,
}
SUPPORTED = (*_SENDERS, *LAYERS, nir.I)


class FloatMaker(Maker):
    """Converter of a NIR graph to float nodes, population by population."""

    def make(self) -> list[Node]:
        """Return the nodes of the float graph in topological order."""
        structure = self.structure = read_structure(self.source, SUPPORTED, tuple(_SENDERS))
        self.notes += structure.notes
        for name, node in structure.nodes.items():
            self.metadata[name] = node.metadata if isinstance(node.metadata, dict) else {}
        for name in structure.order:
            if name in structure.senders:
                _SENDERS[type(structure.nodes[name])](self, name, structure.nodes[name])
        read_output(self)
        return list(self.nodes.values())
