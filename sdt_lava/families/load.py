"""Load a network from our own checkpoints or the authors', which differ in their content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sdt_lava.errors import CheckpointError
from sdt_lava.families.arguments import INERT_CLASSES
from sdt_lava.families.config_source import ConfigSource, resolve_config, source_family
from sdt_lava.families.registry import recognise
from sdt_lava.io.checkpoint.archive import read_archive
from sdt_lava.io.checkpoint.safetensors import is_safetensors, read_safetensors

if TYPE_CHECKING:
    from sdt_lava.families.family import Family
    from sdt_lava.families.import_report import ImportReport
    from sdt_lava.families.model import FamilyModel


def load_model(
    path: str | os.PathLike[str], config: ConfigSource | None = None, ema: bool = False
) -> FamilyModel:
    """Read a network, ready for inference.

    Parameters
    ----------
    path : path-like
        A checkpoint written by `save_checkpoint`, a checkpoint of the authors' training script, or
        a state dict of either.
    config : FamilyConfig, mapping, Namespace, str or path-like, optional
        Replaces the configuration in the file: a configuration, its values (under our names or
        the authors'), the name of a preset or the path of a JSON file or an official
        ``conf.yml``.
    ema : bool
        Use the moving average of the weights in an official checkpoint.

    Returns
    -------
    FamilyModel
        Such as a `SpikeDrivenTransformer`, in eval mode, float32, on the CPU. The global random
        state is unchanged.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely, has no configuration and none is passed, or its
        tensors do not fit.
    ConfigError
        If the configuration is wrong.
    """
    return load_with_report(path, config, ema)[0]


def load_with_report(
    path: str | os.PathLike[str], config: ConfigSource | None = None, ema: bool = False
) -> tuple[FamilyModel, ImportReport | None]:
    """Read a network and return it with a report on the import, None for our own checkpoints.

    Parameters, results and errors are those of `load_model`.
    """
    where = str(path)
    content = read_file(path)
    # Imported here so that a file that is not a checkpoint is rejected without loading torch.
    from sdt_lava.io.checkpoint.weights import find_weights

    if not isinstance(content, dict) or "format" in content:
        return _own(content, where, config, ema), None
    weights = find_weights(content, where, ema=ema)
    family = None if weights is None else _written_by(weights.state, config)
    if weights is None or family is None:
        return _own(weights.state if weights else content, where, config, ema), None
    return family.import_weights(content, weights, where, config)


def _written_by(state: Any, config: ConfigSource | None) -> Family | None:
    """Return the family whose authors wrote a state dict, or None for our own layouts."""
    if config is None:
        return recognise(state)
    if not isinstance(state, dict):
        return recognise(state)
    family = source_family(config)
    return family if family.recognises(state) else None


def read_file(path: str | os.PathLike[str]) -> Any:
    """Return the content of a checkpoint without running any code in it.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely, or is of another kind.
    """
    if is_safetensors(path):
        return read_safetensors(path)
    return read_archive(path, INERT_CLASSES)


def _own(content: Any, where: str, config: ConfigSource | None, ema: bool) -> FamilyModel:
    """Build a network from our own checkpoint or state dict."""
    if ema:
        raise CheckpointError(
            where,
            "no state_dict_ema",
            "an official checkpoint with a moving average of the weights",
            "leave out --ema",
        )
    from sdt_lava.families.own import build_model, own_config, parse_checkpoint

    checkpoint = parse_checkpoint(content, where)
    override = None if config is None else resolve_config(config)
    model = build_model(override or own_config(checkpoint, where), checkpoint.state_dict, where)
    if override is None:
        model.assumes_levels = checkpoint.assumes_levels
        model.levels_from = checkpoint.levels_from
    return model
