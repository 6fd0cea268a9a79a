"""Name nodes that do not correspond to modules, and assign nodes outside all blocks to a block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sdt_lava.ir import Node, Readout


def named(nodes: Mapping[str, Node], end: str, shortcuts: Iterable[str]) -> list[Node]:
    """Return the nodes with their final names.

    The sum at the end of a block is its shortcut; earlier sums are inner ones. Nodes between the
    last block and the readout belong to the head.

    Parameters
    ----------
    nodes : mapping of str to Node
        Nodes by preliminary name.
    end : str
        Name of the last node.
    shortcuts : iterable of str
        Sums without a corresponding module.
    """
    names = {name: name for name in nodes}
    blocks = {name: node.block for name, node in nodes.items()}
    for block, sums in _by_block(nodes, shortcuts).items():
        for number, name in enumerate(sums[:-1]):
            names[name] = f"{block}.inner_shortcut" + (f"_{number + 1}" if number else "")
        names[sums[-1]] = f"{block}.shortcut"
    for name in _head(nodes, end):
        blocks[name] = end
        if nodes[name].kind in _UNNAMED:
            names[name] = f"{end}.{name}"
    return [
        replace(
            node,
            name=names[name],
            inputs=tuple(names[source] for source in node.inputs),
            block=blocks[name],
        )
        for name, node in nodes.items()
    ]


# Operations in the network's own forward.
_UNNAMED = frozenset(("token_mean", "token_sum", "shortcut"))


def _by_block(nodes: Mapping[str, Node], shortcuts: Iterable[str]) -> dict[str, list[str]]:
    sums: dict[str, list[str]] = {}
    for name in shortcuts:
        if name in nodes and nodes[name].block:
            sums.setdefault(nodes[name].block, []).append(name)
    return sums


def _head(nodes: Mapping[str, Node], end: str) -> list[str]:
    """Return the names of the nodes after the last block."""
    if not isinstance(nodes[end], Readout) or nodes[end].block:
        return []
    head, queue = [], [end]
    while queue:
        name = queue.pop()
        if nodes[name].kind == "input":
            return []
        if not nodes[name].block and name not in head:
            head.append(name)
            queue.extend(nodes[name].inputs)
    return head
