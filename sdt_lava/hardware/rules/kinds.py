"""Check that a target runs the network's nodes and processes."""

from __future__ import annotations

from collections.abc import Iterator

from sdt_lava.compiler.streams import RELAY
from sdt_lava.hardware.rules.base import ERROR, WARNING, RuleContext, Violation, rule
from sdt_lava.ir import CubaLif, MaxPool, MaxRelay, Node


@rule()
def node_kind(context: RuleContext) -> Iterator[Violation]:
    """The target supports every kind of node in the compiled graph."""
    target = context.target
    for node in context.compiled.graph:
        # These kinds have their own rule and remedy.
        has_own_rule = isinstance(node, MaxRelay) or (isinstance(node, CubaLif) and node.is_plain)
        if node.kind not in target.kinds and not has_own_rule:
            found, remedy = _explain(node, context)
            yield Violation("node_kind", node.name, found, ", ".join(target.kinds), remedy)


def _explain(node: Node, context: RuleContext) -> tuple[str, str]:
    """Return what the target does not support in a node, and a remedy."""
    if node.kind == "relay":
        if RELAY in context.compiled.lowering.shortcut.values():
            return node.kind, "compile without relays: --shortcut unrolled"
        return f"{node.kind}: this sum is rounded before it is read", "a mean over fewer tokens"
    if isinstance(node, CubaLif):
        features = {
            "recurrent weights": node.weight_rec is not None,
            "axonal delays": bool(node.longest_delay),
            "a divided input": bool(node.drive_shift),
        }
        feature_names = " and ".join(name for name, present in features.items() if present)
        return f"{node.kind}: {feature_names}", "simulate it, or train without"
    return node.kind, "change the network, or describe a target that runs it"


@rule()
def process_kind(context: RuleContext) -> Iterator[Violation]:
    """Every process has a model for the target."""
    target = context.target
    if not target.processes:
        return
    graph = context.compiled.graph
    for row in context.compiled.processes:
        if row.name in context.compiled.schedule.starts:
            continue  # see sigma_delta_reset
        if graph.nodes[row.name].kind in target.kinds and row.process not in target.processes:
            yield Violation(
                "process_kind",
                row.name,
                row.process,
                ", ".join(target.processes),
                "change the network, or add a model of this process to the target",
            )


@rule()
def sigma_delta_reset(context: RuleContext) -> Iterator[Violation]:
    """Sigma-delta neurons run as one stream: hardware does not reset them between samples."""
    compiled = context.compiled
    if not context.target.is_hardware or not compiled.graph.message_names:
        return
    starts = compiled.schedule.starts
    if starts and not compiled.schedule.reset:
        remedy = "load the file with lead_in=True: hardware runs from before the first sample"
        found = "neurons at rest when the stream arrives"
    else:
        remedy = "run it with --no-reset (reset=False): samples are steps of one stream"
        found = "samples that start anew" if starts else "a stream, whose samples are not reset"
    yield Violation(
        "sigma_delta_reset",
        compiled.graph.message_names[0],
        found,
        "neurons that keep their state",
        remedy,
        ERROR if starts else WARNING,
    )


@rule()
def max_pool(context: RuleContext) -> Iterator[Violation]:
    """Pools read spikes: hardware cannot compute a maximum over currents."""
    if MaxRelay.kind in context.target.kinds:
        return
    for node in context.compiled.source.of_type(MaxPool):
        yield Violation(
            "max_pool",
            node.name,
            f"maximum over {node.kernel} x {node.kernel} currents",
            "pooling of spikes",
            "sdt-lava convert MODEL --pooling or|stride, then sdt-lava finetune",
        )
