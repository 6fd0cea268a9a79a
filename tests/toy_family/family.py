"""Step 4: the description of the family; torch is imported by its functions only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdt_lava.families.family import Family
from tests.toy_family.config import PRESETS, ToyConfig, tensors


def _build(config: ToyConfig):
    from tests.toy_family.network import ToyNetwork

    return ToyNetwork(config)


def _is_authors(state: Mapping[str, Any]) -> bool:
    return {"features.0.weight", "classifier.weight"} <= set(state)


def _import_weights(content, weights, where, config):
    from tests.toy_family.authors import import_weights

    return import_weights(content, weights, where, config)


TOY = Family(
    name="toy",
    title="toy network",
    paper="none",
    config=ToyConfig,
    presets=PRESETS,
    size_fields=("width",),
    tensors=tensors,
    build=_build,
    recognises=_is_authors,
    import_weights=_import_weights,
)
