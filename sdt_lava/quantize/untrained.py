"""Build the integer graph of a preset with random weights, for counting, checking and mapping."""

from __future__ import annotations

from sdt_lava.families.registry import family_of, preset
from sdt_lava.ir import Graph
from sdt_lava.quantize.post_training import quantize_unmeasured


def untrained_network(name: str, seed: int = 0) -> Graph:
    """Return the network of a preset before training.

    Its shapes, connections and limits are those of a trained network; spikes and accuracy are not.
    The largest preset takes about ten seconds and 3 GB.

    Parameters
    ----------
    name : str
        Name of the preset.
    seed : int
        Seed of the weights.

    Returns
    -------
    Graph
        The integer graph; its metadata says that the weights are random.

    Raises
    ------
    ConfigError
        If there is no preset of that name.
    """
    config = preset(name)
    # Imported here because importing torch takes seconds: an unknown name should fail sooner.
    from sdt_lava.importers import trace
    from sdt_lava.support.torch_state import random_numbers_apart

    with random_numbers_apart(seed):
        model = family_of(config).build(config).eval()
    graph = quantize_unmeasured(trace(model))
    return graph.with_metadata(preset=name, weights=f"random, seed {seed}")
