"""Stock netx in Lava: every layer's spikes, with a reset every T steps."""

from __future__ import annotations

import numpy as np
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from sdt_lava.backends.lava.session import LavaSession

_CONFIG = Loihi2SimCfg(select_tag="fixed_pt")
_TIMEOUT = 90


def run_stock(path, frames, message_bits=0):
    """Run samples ``(T, B, *shape)`` one after another; return the last layer's spikes alike."""
    return run_stock_layers(path, frames, message_bits)[-1]


def run_stock_layers(path, frames, message_bits=0, **session):
    """Run samples ``(T, B, *shape)`` one after another; return the spikes of every layer.

    Options of the session: ``executor`` and ``timeout``.
    """
    timesteps, batch = frames.shape[:2]
    network = hdf5.Network(
        str(path), reset_interval=timesteps, reset_offset=1, input_message_bits=message_bits
    )
    stream = frames.swapaxes(0, 1).reshape(timesteps * batch, *frames.shape[2:])
    stream = stream.transpose()  # (C, H, W) becomes (W, H, C), and time comes last
    if len(network.inp.shape) == 1:
        stream = stream.reshape(-1, timesteps * batch, order="F") if stream.ndim > 2 else stream
    hops = len(network)
    silence = np.zeros((*stream.shape[:-1], hops), stream.dtype)
    source = Source(data=np.concatenate([stream, silence], axis=-1).astype(np.int32))
    source.s_out.connect(network.inp)
    return _record(network, timesteps, batch, first_hop=1, **session)


def run_stock_image(path, bias, timesteps, **session):
    """Run one image, ``(C, H, W)`` or ``(features,)``, as the bias of the input's neurons."""
    network = hdf5.Network(str(path), reset_interval=timesteps, reset_offset=0)
    network.in_layer.neuron.bias_mant.init = np.asarray(bias).transpose()
    return _record(network, timesteps, 1, first_hop=0, **session)


def run_stock_images(path, biases, timesteps, **session):
    """Run images ``(B, *shape)``, each from a fresh start; return ``(T, B, *shape)`` by layer."""
    runs = [run_stock_image(path, bias, timesteps, **session) for bias in biases]
    return [np.concatenate(samples, axis=1) for samples in zip(*runs, strict=True)]


def run_stock_apart(path, frames, message_bits=0, **session):
    """Run samples ``(T, B, *shape)``, each from a fresh start: no spike goes to the next one."""
    samples = range(frames.shape[1])
    runs = [run_stock_layers(path, frames[:, [b]], message_bits, **session) for b in samples]
    return [np.concatenate(parts, axis=1) for parts in zip(*runs, strict=True)]


def run_stock_messages(path, frames, executor="in-process", **session):
    """Run one sample ``(T, *shape)`` of a sigma-delta network from the start; messages by layer."""
    network = hdf5.Network(str(path), input_message_bits=16)
    timesteps, hops = len(frames), len(network)
    # A network without encoders starts with synapses, which take a step.
    encodes = not hasattr(network.in_layer, "synapse")
    entry = network.in_layer.neuron.a_in if encodes else network.inp
    data = np.zeros((*entry.shape, timesteps + hops), np.int32)
    data[..., :timesteps] = frames.transpose().reshape((*entry.shape, timesteps))
    source = Source(data=data)
    source.s_out.connect(entry)
    return _record(network, timesteps, 1, 0 if encodes else 1, executor, **session)


def _record(network, timesteps, batch, first_hop, executor="processes", timeout=_TIMEOUT):
    hops = [first_hop + index for index in range(len(network))]
    steps = timesteps * batch + hops[-1]
    sinks = [Sink(shape=layer.out.shape, buffer=steps) for layer in network.layers]
    for layer, sink in zip(network.layers, sinks, strict=True):
        layer.out.connect(sink.a_in)
    with LavaSession(network.layers[0], _CONFIG, timeout=timeout, executor=executor) as session:
        session.run(steps)
        received = [np.array(sink.data.get()) for sink in sinks]
    network.net_config.f.close()
    return [
        _samples(spikes, hop, timesteps, batch) for spikes, hop in zip(received, hops, strict=True)
    ]


def _samples(received, hop, timesteps, batch):
    spikes = np.moveaxis(received, -1, 0)[hop : hop + timesteps * batch]
    spikes = spikes.reshape(batch, timesteps, *spikes.shape[1:])
    back = (1, 0, *range(spikes.ndim - 1, 1, -1))
    return spikes.transpose(back).astype(np.int64)
