"""Record what stock netx in Lava computes: ``python -m tests.io.netx.record_stock``.

Writes networks that SLAYER exports, inputs and the spikes of every layer to ``tests/data/netx``.
Each sample has a run of its own, so that no spike on its way reaches the next one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tests.io.netx import slayer_nets as nets
from tests.io.netx.stock_lava import run_stock_apart, run_stock_images

FOLDER = Path(__file__).parents[2] / "data" / "netx"
CASES = {
    "windows": (nets.windows, {}),
    "graded": (nets.windows, {"high": 16, "seed": 1}),
    "thresholds": (nets.thresholds, {"timesteps": 20}),
    "dense-delays": (nets.dense_delays, {}),
    "recurrent": (nets.recurrent, {}),
    "own-decays": (nets.own_decays, {}),
    "image-neurons": (partial(nets.image_neurons, 0.5), {}),
}


def main() -> None:
    for name, (make, options) in CASES.items():
        network = nets.Spikes(make, samples=2, **options)
        path = network.export(FOLDER / f"{name}.net")
        if network.static:
            bias = np.rint(network.x * nets.IMAGE_WEIGHT + nets.IMAGE_BIAS).astype(int)
            layers = run_stock_images(path, bias, network.timesteps)
        else:
            frames = np.swapaxes(network.x, 0, 1)
            layers = run_stock_apart(path, frames, 8 if network.graded else 0)
        spikes = dict(zip(network.spikes, (s.astype(bool) for s in layers), strict=True))
        np.savez_compressed(FOLDER / f"{name}.npz", x=network.x, T=network.timesteps, **spikes)


if __name__ == "__main__":
    main()
