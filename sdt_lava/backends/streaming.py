"""Run samples as one continuous stream, in which neurons are not reset between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sdt_lava.errors import NumericOverflowError
from sdt_lava.ir.numerics import IntArray, NeuronStates
from sdt_lava.ir.watch import later

Run = Callable[[IntArray, NeuronStates], Mapping[str, IntArray]]


def as_stream(frames: IntArray) -> IntArray:
    """Join samples to a stream, from ``(T, B, *shape)`` to ``(B * T, 1, *shape)``."""
    steps, samples, *shape = frames.shape
    return np.ascontiguousarray(np.swapaxes(frames, 0, 1)).reshape(samples * steps, 1, *shape)


def as_samples(stream: IntArray, timesteps: int) -> IntArray:
    """Cut a stream into samples of T steps, from ``(B * T, 1, *shape)`` to ``(T, B, *shape)``."""
    by_sample = stream.reshape(len(stream) // timesteps, timesteps, *stream.shape[2:])
    return np.swapaxes(by_sample, 0, 1)


def continuously(run: Run) -> Callable[[IntArray], dict[str, IntArray]]:
    """Return a function that runs samples from the states in which the previous ones ended.

    Parameters
    ----------
    run : callable
        Function that runs frames ``(steps, 1, *shape)`` from the given neuron states and updates
        these to the final states.

    Returns
    -------
    callable
        Function from frames ``(T, B, *shape)`` to outputs ``(T, B, *shape)``, to be called with the
        parts of a stream in order.
    """
    states: NeuronStates = {}

    done = 0  # steps

    def run_part(frames: IntArray) -> dict[str, IntArray]:
        nonlocal done
        try:
            outputs = run(as_stream(frames), states)
        except NumericOverflowError as error:
            raise later(error, done) from error
        done += frames.shape[0] * frames.shape[1]
        return {name: as_samples(values, len(frames)) for name, values in outputs.items()}

    return run_part
