"""Layer shapes of two networks whose cores the Loihi 2 compiler printed, mapped here.

The printed numbers are from lava-dl's notebooks ``netx/pilotnet_snn/benchmark.ipynb`` and
``netx/yolo_kp/run.ipynb``: cores of each layer, from the input on. PilotNet's input layer (13
cores) is left out, because the host sends the input here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sdt_lava.ir import Conv, Dense, Flatten, Graph, Input, Lif, Node

# Output channels, kernel, stride and padding of a convolution, or neurons of a dense layer; and
# the printed cores.
_PILOTNET = (
    (3, 66, 200),
    (
        ((24, (3, 3), (2, 2), (0, 0)), 25),
        ((36, (3, 3), (2, 2), (0, 0)), 13),
        ((48, (3, 3), (2, 2), (0, 0)), 3),
        ((64, (3, 3), (2, 1), (1, 0)), 3),
        ((64, (3, 3), (1, 1), (0, 0)), 2),
        (100, 12),
        (50, 1),
        (10, 1),
        (1, 1),
    ),
)
_SAME, _HALF, _POINT = ((3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1)), ((1, 1), (1, 1), (0, 0))
_YOLO_KP = (
    (3, 448, 448),
    (
        ((16, *_HALF), 224),
        ((32, *_HALF), 112),
        ((64, *_HALF), 56),
        ((128, *_HALF), 28),
        ((256, *_SAME), 56),
        ((256, *_HALF), 16),
        ((512, *_SAME), 32),
        ((256, *_POINT), 14),
        ((512, *_SAME), 32),
        ((48, *_POINT), 4),
    ),
)
_NETWORKS = {"PilotNet LIF": _PILOTNET, "YOLO-KP": _YOLO_KP}


def published_rows() -> list[dict[str, Any]]:
    """Return printed and mapped cores of each network."""
    from sdt_lava.backends.deployment import compile_network
    from sdt_lava.hardware.core_map import map_cores

    rows = []
    for name, (shape, layers) in _NETWORKS.items():
        core_map = map_cores(compile_network(_network(shape, layers), "loihi2"))
        mapped = [layer.cores for layer in core_map.layers]
        printed = [cores for _, cores in layers]
        rows.append(
            {
                "network": name,
                "printed": printed,
                "mapped": mapped,
                "printed_cores": sum(printed),
                "mapped_cores": len(core_map.cores),
                "chips": core_map.chips,
            }
        )
    return rows


def _network(shape: tuple[int, int, int], layers: tuple[Any, ...]) -> Graph:
    """Return layers of that shape; a core map does not look at weights."""
    nodes: list[Node] = [Input(name="input", shape=shape)]
    for index, (layer, _) in enumerate(layers):
        source = nodes[-1].name
        if isinstance(layer, int):
            nodes += _dense(index, layer, source, _shape(nodes))
        else:
            channels, kernel, stride, padding = layer
            weight = np.full((channels, _shape(nodes)[0], *kernel), 2)
            conv = Conv(
                name=f"{index}.conv",
                inputs=(source,),
                weight=weight,
                stride=stride,
                padding=padding,
            )
            nodes.append(conv)
        nodes.append(Lif(name=f"{index}.lif", inputs=(nodes[-1].name,), threshold=10))
    return Graph.build(nodes, 1)


def _dense(index: int, neurons: int, source: str, shape: tuple[int, ...]) -> list[Node]:
    flat: list[Node] = []
    if len(shape) > 1:
        flat.append(Flatten(name=f"{index}.flatten", inputs=(source,)))
        source = flat[0].name
    weight = np.full((neurons, int(np.prod(shape))), 2)
    return [*flat, Dense(name=f"{index}.dense", inputs=(source,), weight=weight)]


def _shape(nodes: list[Node]) -> tuple[int, ...]:
    return Graph.build(nodes, 1).shapes[nodes[-1].name]


PUBLISHED: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "printed, layer by layer": lambda row: ", ".join(map(str, row["printed"])),
    "slices here": lambda row: ", ".join(map(str, row["mapped"])),
    "printed cores": lambda row: str(row["printed_cores"]),
    "cores here": lambda row: str(row["mapped_cores"]),
    "chips here": lambda row: str(row["chips"]),
}
