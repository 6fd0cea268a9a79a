"""The family of the Spike-driven Transformer of 2023."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdt_lava.families.family import Family
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.formula import FORMULA
from sdt_lava.families.sdt1.presets import PRESETS
from sdt_lava.families.sdt1.tensors import expected_tensors

if TYPE_CHECKING:
    from sdt_lava.families.import_report import ImportReport
    from sdt_lava.families.model import FamilyModel
    from sdt_lava.io.checkpoint.weights import Weights


def _build(config: SdtConfig) -> FamilyModel:
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer

    return SpikeDrivenTransformer(config)


def _is_official(state: Any) -> bool:
    """Tell whether weights lack the time axis of convolutions that our layout has.

    What is no dict of tensors counts, too: the import explains what is wrong with it.
    """
    return not isinstance(state, dict) or not any(
        getattr(value, "ndim", None) == 5 for value in state.values()
    )


def _import_weights(
    content: Mapping[Any, Any], weights: Weights, where: str, config: Any
) -> tuple[FamilyModel, ImportReport]:
    from sdt_lava.families.sdt1.official import import_official

    return import_official(content, weights, where, config)


SDT1 = Family(
    name=SdtConfig.family,
    title="Spike-driven Transformer",
    paper="Yao et al., Spike-driven Transformer, NeurIPS 2023 (arXiv 2307.01694)",
    config=SdtConfig,
    presets=PRESETS,
    size_fields=("dim", "depth"),
    tensors=expected_tensors,
    build=_build,
    recognises=_is_official,
    import_weights=_import_weights,
    formula=FORMULA,
)
