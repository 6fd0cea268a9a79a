"""Check that a network's result does not depend on the other samples of a batch.

The traced run follows every torch operation, but misses anything computed outside torch, such as a
statistic in a custom function. The network is therefore also run on numbers, with two batch sizes,
and the currents of its neurons are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sdt_lava.errors import TraceError
from sdt_lava.importers.tracing.axes import BATCH, Layout
from sdt_lava.importers.tracing.neurons import FIRST, STEPWISE, Neuron, is_neuron, neuron_of
from sdt_lava.importers.tracing.patching import (
    method_replaced,
    potentials_of,
    set_potentials,
)
from sdt_lava.importers.tracing.places import place_of
from sdt_lava.importers.tracing.probe import integrate

# Allowed rounding error relative to the largest current: the order of sums depends on the batch
# size.
_ROUNDING = 1e-3

# Inputs of neurons by call: path of the neurons and layout of the currents.
Reads = Sequence[tuple[str, Layout]]


def compare_batches(module: nn.Module, batches: Sequence[tuple[Tensor, Reads]]) -> None:
    """Run a network on a small and a larger batch, and compare the inputs of its neurons.

    Parameters
    ----------
    module : nn.Module
        The network.
    batches : sequence of (Tensor, Reads)
        Both inputs, with the calls in their traced runs. The smaller batch is part of the larger
        one.

    Raises
    ------
    TraceError
        If the result of a sample depends on the batch size.
    """
    (small, reads), (large, reads_large) = batches
    pairs = zip(_calls(module, small, reads), _calls(module, large, reads_large), strict=False)
    for (path, currents, spikes), (_, others, other_spikes) in pairs:
        limit = _ROUNDING * max(float(currents.abs().max()), 1.0)
        if not float((currents - others).abs().max()) <= limit:
            raise TraceError(
                f"module {path!r}",
                "reads other currents for the same samples when the batch is larger",
                "a network that treats each sample by itself",
                "look for statistics of a batch, state that runs over the batch, or random numbers",
            )
        if not torch.equal(spikes, other_spikes):
            # The difference is due to rounding at a threshold, so later calls may differ, too.
            return


def _calls(module: nn.Module, x: Tensor, reads: Reads) -> list[tuple[str, Tensor, Tensor]]:
    """Return the currents and spikes of the first samples for each call of neurons."""
    calls: list[tuple[str, Tensor, Tensor]] = []

    def record(path: str, currents: Tensor, spikes: Tensor) -> None:
        if len(calls) < len(reads) and reads[len(calls)][0] == path:
            layout = reads[len(calls)][1]
            calls.append((path, _first(currents, layout), _first(spikes, layout)))

    with _neurons_replaced(module, record):
        try:
            module(x)
        except TraceError:
            raise
        except Exception as error:
            line = place_of(error)
            where = f"the network ({type(module).__name__})"
            raise TraceError(
                f"{where}, {line}" if line else where,
                f"raised {type(error).__name__} on {x.shape[0]} x ... of the example: {error}",
                "a network that runs on the example, and on any batch size",
            ) from error
    return calls


def _first(values: Tensor, layout: Layout) -> Tensor:
    """Return the first two samples, for any position of the batch axis."""
    factors = [factor for axis in layout for factor in axis]
    position = [factor.root for factor in factors].index(BATCH)
    return values.detach().reshape([f.size for f in factors]).narrow(position, 0, 2).clone()


@contextmanager
def _neurons_replaced(module: nn.Module, record: Any) -> Iterator[None]:
    """Replace all neurons by their equation temporarily, which keeps their state unchanged."""
    with ExitStack() as stack:
        for path, inner in module.named_modules():
            if is_neuron(inner):
                neuron = neuron_of(inner, f"module {path!r}")
                assert neuron is not None
                equation = _Equation(path, inner, neuron, record)
                stack.callback(set_potentials, inner, potentials_of(inner))
                stack.enter_context(method_replaced(inner, "forward", equation))
        yield


class _Equation:
    """Replacement of the neurons' ``forward`` by their equation."""

    def __init__(self, path: str, module: nn.Module, neuron: Neuron, record: Any) -> None:
        self._path, self._module, self._neuron, self._record = path, module, neuron, record
        self._past: list[Tensor] = []

    def __call__(self, currents: Tensor, *others: Any, **named: Any) -> Any:
        if self._neuron.time == STEPWISE:
            self._past.append(currents.detach())
            spikes = integrate(self._neuron, torch.stack(self._past))[0][-1]
        else:
            axis = 0 if self._neuron.time == FIRST else -1
            spikes = integrate(self._neuron, currents.movedim(axis, 0))[0].movedim(0, axis)
        fired = spikes.to(currents.dtype)
        self._record(self._path, currents, fired)
        membrane = torch.zeros_like(fired)
        if self._neuron.returns_membrane:
            return fired, membrane
        set_potentials(self._module, dict.fromkeys(potentials_of(self._module), membrane))
        return fired
