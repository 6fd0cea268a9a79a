"""Print the peak memory [MB] of this process, which runs one batch: engine or float model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch


def main(kind: str, network: Path, images: Path) -> None:
    """Run the batch."""
    torch.set_num_threads(2)
    x = np.load(images)
    if kind == "engine":
        from benchmarks.classifier import classifier
        from sdt_lava.io.netx import load_network

        run = classifier(load_network(network), x)
    else:
        from benchmarks.float_peer import FloatPeer

        peer, tensor = FloatPeer(torch.load(network)), torch.from_numpy(x)

        def run() -> np.ndarray:
            return peer(tensor).numpy()

    run()
    print(peak_megabytes())


def peak_megabytes() -> float:
    """Return the largest resident memory of this program.

    Linux also counts the program before: `resource` gives a child the peak of its parent.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
