"""A network in the engine, from images to logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sdt_lava.engine import Engine, EngineOptions
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import encode


def classifier(net: Graph, images: np.ndarray) -> Callable[[], np.ndarray]:
    """Return what encodes images and returns their logits."""
    options = EngineOptions()
    name = net.output_name

    def run() -> np.ndarray:
        engine = Engine(net, tracked=False, options=options)
        outputs = engine.run(encode(net, images), (name,))
        return outputs[name].sum(axis=0)

    return run
