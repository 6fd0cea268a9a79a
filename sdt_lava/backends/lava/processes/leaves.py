"""Create Lava's standard processes for the populations and connections of a compiled graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from lava.proc.conv.process import Conv as ConvProcess
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as DenseProcess
from lava.proc.graded.process import GradedVec
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import ActivationMode
from lava.proc.sdn.process import Delta as DeltaProcess
from lava.proc.sdn.process import Sigma as SigmaProcess
from lava.proc.sdn.process import SigmaDelta as SigmaDeltaProcess
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as SparseProcess

from sdt_lava.backends.lava.processes.cuba import CubaLif as CubaLifProcess
from sdt_lava.backends.lava.processes.max_relay import MaxRelay as MaxRelayProcess
from sdt_lava.backends.lava.processes.sigma_delta import DeltaReset, SigmaDeltaReset, SigmaReset
from sdt_lava.compiler.connections import dense_rows
from sdt_lava.compiler.partition import Connection
from sdt_lava.compiler.schedule import Schedule
from sdt_lava.ir import (
    Conv,
    CubaLif,
    Delta,
    Dense,
    Gate,
    Lif,
    MaxRelay,
    Node,
    Relay,
    Shape,
    Sigma,
    SigmaDelta,
    Sparse,
    SpikingNeurons,
)
from sdt_lava.ir.eight_bits import eight_bit_weights
from sdt_lava.ir.numerics import GATE_DECAY, GRADED_BITS, power_shift
from sdt_lava.ir.sigma_delta_steps import Reset

# Message bits of a connection from binary spikes. The result is the same as with 0, but Lava's code
# path is faster.
_SPIKE_BITS = 1
# Value of ``du`` for a current decay of 4096/4096, since Lava adds one.
_NO_CURRENT_MEMORY = 4095


def _size(shape: Shape) -> int:
    return int(np.prod(shape))


def _per_neuron(values: Any, shape: Shape) -> Any:
    """Return one integer if all channels have the same value, otherwise one for each neuron."""
    channels = np.unique(values)
    if channels.size == 1:
        return int(channels[0])
    return np.repeat(np.asarray(values, int), _size(shape) // shape[0])


def _make_lif(node: SpikingNeurons, shape: Shape, schedule: Schedule) -> Any:
    size = _size(shape)
    per_channel = size // shape[0]
    bias = np.zeros(shape[0], int) if node.bias is None else np.asarray(node.bias, int)
    return LIFReset(
        shape=(size,),
        du=_per_neuron(np.asarray(node.current_decay) - 1, shape),
        dv=_per_neuron(node.voltage_decay, shape),
        vth=_per_neuron(node.threshold, shape),
        bias_mant=np.repeat(bias, per_channel),
        bias_exp=node.bias_exponent,
        reset_interval=schedule.reset_interval,
        reset_offset=schedule.reset_offset(node.name),
        name=node.name,
    )


def _make_spiking(node: SpikingNeurons, shape: Shape, schedule: Schedule) -> Any:
    if node.is_plain:
        return _make_lif(node, shape, schedule)
    return CubaLifProcess(
        parameters=node.parameters(len(shape)),
        shape=shape,
        reset_interval=schedule.reset_interval,
        reset_offset=schedule.reset_offset(node.name),
        name=node.name,
    )


def _make_gate(node: Gate, shape: Shape, schedule: Schedule) -> Any:
    return LIF(
        shape=(_size(shape),),
        du=_NO_CURRENT_MEMORY,
        dv=GATE_DECAY,
        vth=node.threshold,
        name=node.name,
    )


def _make_relay(node: Relay, shape: Shape, schedule: Schedule) -> Any:
    # The default threshold of 1 would suppress payloads of +-1.
    relay = GradedVec(shape=(_size(shape),), vth=0)
    # Unlike other processes, GradedVec accepts no name.
    relay.name = node.name
    return relay


def _make_max_relay(node: MaxRelay, shape: Shape, schedule: Schedule) -> Any:
    return MaxRelayProcess(
        input_shape=node.input_shape,
        output_shape=shape,
        kernel=node.kernel,
        stride=node.stride,
        padding=node.padding,
        name=node.name,
    )


def _make_sigma_delta(node: SigmaDelta, shape: Shape, schedule: Schedule) -> Any:
    bias = np.zeros(shape[0], int) if node.bias is None else np.asarray(node.bias, int)
    mode = ActivationMode.RELU if node.rectified else ActivationMode.UNIT
    parameters = {
        "bias": np.repeat(bias, _size(shape) // shape[0]).astype(np.int32),
        "act_mode": mode,
        **_encoding(node),
    }
    return _with_reset(SigmaDeltaProcess, SigmaDeltaReset, node, shape, schedule, parameters)


def _make_delta(node: Delta, shape: Shape, schedule: Schedule) -> Any:
    return _with_reset(DeltaProcess, DeltaReset, node, shape, schedule, _encoding(node))


def _make_sigma(node: Sigma, shape: Shape, schedule: Schedule) -> Any:
    return _with_reset(SigmaProcess, SigmaReset, node, shape, schedule, {})


def _encoding(node: SigmaDelta | Delta) -> dict[str, Any]:
    return {
        "vth": int(node.threshold),
        "spike_exp": node.spike_exponent,
        "state_exp": node.state_exponent,
    }


def _with_reset(
    standard: Any,
    resetting: Any,
    node: Node,
    shape: Shape,
    schedule: Schedule,
    parameters: dict[str, Any],
) -> Any:
    """Create Lava's own process, or our process with the same arithmetic and a reset."""
    parameters = {"shape": (_size(shape),), **parameters}
    if node.name in schedule.starts:
        start, offset = schedule.starts[node.name], schedule.reset_offset(node.name)
        reset = Reset(start, schedule.reset_interval, offset)
        return resetting(name=node.name, reset=reset, **parameters)
    process = standard(**parameters)
    # Not all processes accept a name.
    process.name = node.name
    return process


_POPULATIONS: dict[type[Node], Callable[[Any, Shape, Schedule], Any]] = {
    Lif: _make_spiking,
    CubaLif: _make_spiking,
    Gate: _make_gate,
    Relay: _make_relay,
    MaxRelay: _make_max_relay,
    SigmaDelta: _make_sigma_delta,
    Delta: _make_delta,
    Sigma: _make_sigma,
}


def make_population(node: Node, shape: Shape, schedule: Schedule) -> Any:
    """Create the Lava process of a population, as a flat vector in C order of ``(C, H, W)``."""
    make = node.entry_of(_POPULATIONS, "which process of Lava runs it", __name__)
    return make(node, shape, schedule)


def _connect_sparse(connection: Connection, source: Any, reader: Any) -> Any:
    node = connection.node
    assert isinstance(node, Sparse)
    bits = GRADED_BITS if connection.graded else _SPIKE_BITS
    weights = node.weight.astype(np.int32)
    weights.data, exponent = eight_bit_weights(weights.data, node)
    if connection.delay:
        # Delays with the pattern of the weights keep the matrix sparse. All delays are equal, so a
        # sum that is shifted to the right is delayed and rounded as a whole.
        delays = weights.astype(int)
        delays.data[:] = connection.delay
        process = DelaySparse(
            weights=weights,
            delays=delays,
            num_message_bits=bits,
            weight_exp=exponent,
            name=node.name,
        )
    else:
        process = SparseProcess(
            weights=weights, num_message_bits=bits, weight_exp=exponent, name=node.name
        )
    source.connect(process.s_in)
    process.a_out.connect(reader)
    return process


def _connect_dense(connection: Connection, source: Any, reader: Any) -> Any:
    node = connection.node
    assert isinstance(node, Dense)
    bits = GRADED_BITS if connection.graded else 0
    weights, exponent = eight_bit_weights(np.asarray(node.weight), node)
    if connection.delay and connection.graded and exponent < 0:
        # Lava's DelayDense sums in 64 bits before it shifts to the right; all others sum in 32.
        return _connect_sparse(replace(connection, node=_as_sparse(node)), source, reader)
    if connection.delay:
        process = DelayDense(
            weights=weights,
            delays=connection.delay,
            num_message_bits=bits,
            weight_exp=exponent,
            name=node.name,
        )
    else:
        process = DenseProcess(
            weights=weights, num_message_bits=bits, weight_exp=exponent, name=node.name
        )
    source.connect(process.s_in)
    process.a_out.connect(reader)
    return process


def _as_sparse(node: Dense) -> Sparse:
    weight = np.asarray(node.weight, np.int64)
    return Sparse(
        name=node.name,
        inputs=node.inputs,
        weight=dense_rows(weight, np.arange(len(weight))),
        shape=(len(weight),),
        role="synapse",
        exponent=node.exponent,
    )


def _connect_conv(connection: Connection, source: Any, reader: Any) -> Any:
    node = connection.node
    assert isinstance(node, Conv)
    channels, height, width = connection.source_shape
    # Lava's Conv uses (X, Y, C) and is a true convolution, while torch's is a correlation. Its CPU
    # model ignores weight exponents and does not limit weights, so exponents are applied to these.
    shifted = power_shift(np.asarray(node.weight, np.int64), node.exponent, 0)
    weight = shifted.astype(int)[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    process = ConvProcess(
        weight=weight,
        input_shape=(width, height, channels),
        stride=node.stride[::-1],
        padding=node.padding[::-1],
        dilation=node.dilation[::-1],
        groups=node.groups,
        num_message_bits=GRADED_BITS if connection.graded else 0,
        name=node.name,
    )
    image = source.reshape((channels, height, width)).transpose((2, 1, 0))
    image.connect(process.s_in)
    process.a_out.transpose((2, 1, 0)).flatten().connect(reader)
    return process


_CONNECTIONS: dict[type[Node], Callable[[Connection, Any, Any], Any]] = {
    Sparse: _connect_sparse,
    Dense: _connect_dense,
    Conv: _connect_conv,
}


def make_connection(connection: Connection, source: Any, reader: Any) -> Any:
    """Create the Lava process of a connection and connect it to both ports.

    Parameters
    ----------
    connection : Connection
        Connection to create.
    source : OutPort or InPort
        Flat port with the events of the source.
    reader : InPort
        Flat input port of the reading population.

    Returns
    -------
    AbstractProcess
        Process of the connection.
    """
    make = connection.node.entry_of(_CONNECTIONS, "which process of Lava runs it", __name__)
    return make(connection, source, reader)
