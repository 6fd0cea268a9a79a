"""Format the table of ``print(net)`` in the style of lava-dl's netx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sdt_lava.ir.base import Node, Shape
from sdt_lava.ir.pooling import MaxPool, OrPool
from sdt_lava.ir.synapses import Conv
from sdt_lava.support.text import one_line

_COLUMNS = "|   Type   |  W  |  H  |  C  | ker | str | pad | dil | grp |"


def _pair(values: tuple[int, int] | None) -> str:
    return f"{'':5s}" if values is None else f"{values[0]:2d},{values[1]:2d}"


def _window(node: Node) -> tuple[str, str, str, str, str]:
    if isinstance(node, Conv):
        kernel = (node.weight.shape[3], node.weight.shape[2])
        flipped = (node.stride[::-1], node.padding[::-1], node.dilation[::-1])
        return _pair(kernel), *map(_pair, flipped), f"{node.groups:5d}"  # type: ignore[return-value]
    if isinstance(node, (OrPool, MaxPool)):
        squares = [_pair((side, side)) for side in (node.kernel, node.stride, node.padding, 1)]
        return squares[0], squares[1], squares[2], squares[3], f"{'':5s}"
    return _pair(None), _pair(None), _pair(None), _pair(None), f"{'':5s}"


def _row(node: Node, shape: Shape, width_of_name: int) -> str:
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    cells = [f"{node.kind:10s}", f"{width:5d}", f"{height:5d}", f"{channels:5d}", *_window(node)]
    return f"| {one_line(node.name):<{width_of_name}s}|" + "|".join(cells) + "|"


def format_nodes(nodes: Iterable[Node], shapes: Mapping[str, Shape]) -> str:
    """Return a table with one row for each node."""
    listed = list(nodes)
    widest = max(len(one_line(node.name)) for node in listed)
    rows = [_row(node, shapes[node.name], widest) for node in listed]
    return "\n".join([f"| {'Name':<{widest}s}{_COLUMNS}", *rows])
