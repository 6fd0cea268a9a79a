"""Step 3: the layout of the authors' state dicts, which have other names and no time axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdt_lava.families.config_source import resolve_config, source_label
from sdt_lava.families.import_report import ImportReport
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.own import build_model
from sdt_lava.io.checkpoint.weights import Weights

RENAMED = {
    "features.0.": "conv1.",
    "features.1.": "bn1.",
    "features.3.": "conv2.",
    "features.4.": "bn2.",
    "classifier.": "head.",
}


def import_weights(
    content: Mapping[Any, Any], weights: Weights, where: str, config: Any
) -> tuple[FamilyModel, ImportReport]:
    """Build a network from the authors' weights."""
    state = {}
    for name, value in weights.state.items():
        old = next((prefix for prefix in RENAMED if name.startswith(prefix)), "")
        own = RENAMED.get(old, "") + name.removeprefix(old)
        state[own] = value.unsqueeze(-1) if value.ndim == 4 else value
    source = "toy-digits" if config is None else config
    model = build_model(resolve_config(source), state, where)
    return model, ImportReport(where, weights.name, (), 0, source_label(source), ())
