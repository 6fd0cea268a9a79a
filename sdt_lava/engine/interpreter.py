"""Interpret graphs node by node on tensors ``(T, B, *shape)``, exactly but slowly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdt_lava.engine.registry import Context, evaluator
from sdt_lava.ir import Graph, Input, Node
from sdt_lava.ir.numerics import IntArray
from sdt_lava.support.torch_state import inside_torch


class Interpreter:
    """Executor of any integer graph.

    Parameters
    ----------
    graph : Graph
        Integer graph, traced or compiled.
    context : Context
        Context that the evaluators of nodes share.
    """

    def __init__(self, graph: Graph, context: Context) -> None:
        self.graph = graph
        self._context = context

    @torch.no_grad()
    def run(
        self,
        frames: IntArray,
        keep: Iterable[str] | None = None,
        spikes: Mapping[str, NDArray[Any]] | None = None,
    ) -> dict[str, IntArray]:
        """Evaluate the graph.

        Parameters
        ----------
        frames : ndarray of int
            Input ``(T, B, *shape)``.
        keep : iterable of str, optional
            Nodes whose output is returned; by default all.
        spikes : mapping of str to ndarray, optional
            Recorded output of LIF nodes, used instead of simulating these neurons.

        Returns
        -------
        dict of str to ndarray
            Outputs ``(T, B, *shape)``: uint8 for spikes, int64 for all other signals.

        Raises
        ------
        NumericOverflowError
            If ``strict`` is True and a value does not fit its register.
        """
        output_names = set(self.graph.nodes if keep is None else keep)
        recorded = spikes or {}
        unread = {name: len(readers) for name, readers in self.graph.consumers.items()}
        values: dict[str, Tensor] = {}
        results: dict[str, IntArray] = {}
        for node in self.graph:
            values[node.name] = self._evaluate(node, values, frames, recorded)
            if node.name in output_names:
                results[node.name] = values[node.name].cpu().numpy()
            for source in node.inputs:
                unread[source] -= 1
                if not unread[source]:
                    del values[source]
        if self._context.strict:
            self._context.watch.raise_first()
        return results

    def _evaluate(
        self,
        node: Node,
        values: Mapping[str, Tensor],
        frames: IntArray,
        recorded: Mapping[str, NDArray[Any]],
    ) -> Tensor:
        if isinstance(node, Input):
            return torch.from_numpy(np.array(frames, dtype=np.int64)).to(self._context.device)
        if node.name in recorded:
            sent = np.ascontiguousarray(recorded[node.name])
            return torch.from_numpy(sent).to(self._context.device)
        inputs = [values[name] for name in node.inputs]
        with inside_torch():
            values_sent = evaluator(type(node))(node, inputs, self._context)
        return (
            self._context.carried(node, values_sent)
            if node.name in self._context.relayed
            else values_sent
        )
