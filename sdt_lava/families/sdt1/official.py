"""Import checkpoints written by the authors' training script.

Their layout differs from ours in three ways: convolutions have no time axis, three of them in each
block have a bias before their batch normalisation, and some weights are never used.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.families.arguments import TrainingArguments, listed_arguments
from sdt_lava.families.config_source import ConfigSource, read_source, source_label
from sdt_lava.families.import_report import ImportReport
from sdt_lava.families.input_levels import Settings, assumes_levels
from sdt_lava.families.layouts import in_official_names, refuse_other_networks
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.own import build_model
from sdt_lava.families.registry import family_of
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.official_config import OFFICIAL, complete, read_settings
from sdt_lava.families.sdt1.official_layout import (
    BIAS,
    official_tensors,
    plain_state,
    with_other_biases,
    without_unused,
)
from sdt_lava.families.sdt1.official_shapes import contradictions, deduce
from sdt_lava.families.tensors import (
    check_kind,
    check_layout,
    check_values,
    differences,
    is_counter,
)
from sdt_lava.io.checkpoint.weights import Weights

logger = logging.getLogger(__name__)


# A wrong preset contradicts nearly all tensors: a few names suffice.
_NAMES_OF_CONTRADICTIONS = 4
# Entries of a checkpoint in which scripts store their arguments.
_ARGUMENTS = ("args", "hyper_parameters", "hparams", "config", "cfg")


def import_official(
    content: Mapping[Any, Any], weights: Weights, where: str, config: ConfigSource | None = None
) -> tuple[FamilyModel, ImportReport]:
    """Build a network from the content of an official checkpoint.

    Parameters
    ----------
    content : mapping
        Result of `read_archive` with `INERT_CLASSES`.
    weights : Weights
        The weights in the content to be imported.
    where : str
        Name of the file in messages.
    config : SdtConfig, mapping, Namespace, str or path-like, optional
        Configuration, preset name, or JSON or conf.yml file. By default, the training arguments
        in the checkpoint. Regardless of the configuration, pre-activations are pooled and neurons
        are the float neurons, as in the authors' network.

    Returns
    -------
    model : SpikeDrivenTransformer
        In eval mode.
    report : ImportReport
        The report on the import, which is also logged.

    Raises
    ------
    CheckpointError
        If tensors are missing, unexpected, of the wrong shape or contradict the configuration.
    ConfigError
        If the configuration is wrong or incomplete.
    """
    plain = plain_state(weights.state, where)
    refuse_other_networks(plain.tensors, where)
    official_state, layout = in_official_names(plain.tensors)
    state, unused = without_unused(official_state, where)
    notes = [*weights.notes, *_notes_on(state, layout)]
    network_settings = _configure(content, config, state, unused, where)
    if layout is not None:
        network_settings = network_settings.without_dilations(layout)
    resolved = network_settings.complete(notes)
    expected = with_other_biases(official_tensors(resolved), state)
    check_layout(state, expected, family_of(resolved), where)
    model = build_model(resolved, _own_layout(state, where), where)
    model.assumes_levels = assumes_levels(resolved, network_settings.settings)
    report = ImportReport(
        where, weights.name, tuple(unused), plain.prefixed, network_settings.source, tuple(notes),
        plain.prefixes, model.assumes_levels,
    )  # fmt: skip
    for line in report.lines():
        logger.info("%s", line)
    return model, report


def _notes_on(state: Mapping[str, torch.Tensor], layout: str | None) -> list[str]:
    """Return notes on an unusual layout or precision of the weights."""
    notes = []
    if layout is not None:
        notes.append(f"the weights are in the layout of {layout}")
    types = {str(value.dtype).removeprefix("torch.") for value in state.values() if value.ndim}
    if types - {"float32"}:
        notes.append(f"weights of {', '.join(sorted(types))} are computed with in float32")
    return notes


@dataclass(frozen=True)
class _Given:
    """The settings of a network, combined from all sources.

    Parameters
    ----------
    settings : dict
        Fields of `SdtConfig`.
    source : str
        Name of the source of the settings.
    notes : tuple of str
        Notes on differences between sources.
    asked : dict
        Settings in the source that takes precedence.
    """

    settings: Settings
    source: str
    notes: tuple[str, ...]
    asked: Settings

    def without_dilations(self, layout: str) -> _Given:
        """Return the settings with spike dilations turned off."""
        note = f"dvs_mode is false: the network of {layout} dilates no spikes"
        notes = (note,) if self.settings.get("dvs_mode") else ()
        settings = {**self.settings, "dvs_mode": False}
        return replace(self, settings=settings, notes=(*self.notes, *notes))

    def complete(self, notes: list[str]) -> SdtConfig:
        """Return the configuration, and append to the notes."""
        notes += self.notes
        resolved = complete(self.settings, self.source, notes)
        notes += (
            f"{key} is {value!r} as in the official network, not {self.asked[key]!r}"
            for key, value in OFFICIAL.items()
            if self.asked.get(key, value) != value
        )
        return resolved


def _configure(
    content: Mapping[Any, Any],
    config: ConfigSource | None,
    state: Mapping[str, torch.Tensor],
    unused: Mapping[str, torch.Tensor],
    where: str,
) -> _Given:
    """Combine the user's configuration, the training arguments and the shapes of the weights."""
    unknown: list[str] | None = None if config is None else []
    arguments = _arguments(content, where, unknown)
    primary, source = _given(config, arguments, where)
    notes = [] if config is None else _compare(primary, source, arguments, where)
    if unknown:
        notes.append(f"unknown arguments in the checkpoint: {listed_arguments(unknown)}")
    deduced = deduce(state, unused)
    deduced_settings = {key: value for key, (value, _) in deduced.items()}
    settings = {**arguments, **deduced_settings, **primary}
    conflicts = contradictions(primary, source, deduced)
    if conflicts:
        raise CheckpointError(
            where,
            "; ".join([*conflicts, *_tensors_that_differ(settings, state)]),
            "a configuration that describes these weights",
            "pass the conf.yml or the preset that the network was trained with",
        )
    return _Given(settings, source, tuple(notes), primary)


def _tensors_that_differ(settings: Settings, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the tensors that contradict a wrong configuration, if it can be completed at all."""
    try:
        expected = official_tensors(complete(settings, ""))
    except ConfigError:
        return []
    return differences(state, with_other_biases(expected, state), _NAMES_OF_CONTRADICTIONS)


def _given(config: ConfigSource | None, arguments: Settings, where: str) -> tuple[Settings, str]:
    """Return the settings that take precedence, and the name of their source."""
    if config is not None:
        return read_source(config), source_label(config)
    if not arguments:
        raise CheckpointError(
            where,
            "no configuration in the file (a state dict does not say T, pooling or image size)",
            remedy="pass --config with the official conf.yml, a preset name or a JSON file",
        )
    return arguments, f"{where}: args"


def _arguments(content: Mapping[Any, Any], where: str, unknown: list[str] | None) -> Settings:
    """Return the settings in the training arguments of a checkpoint."""
    for key in _ARGUMENTS:
        arguments = content.get(key)
        if isinstance(arguments, TrainingArguments):
            arguments = vars(arguments)
        if arguments is None or (key != "args" and not isinstance(arguments, dict)):
            continue
        if not isinstance(arguments, dict):
            raise CheckpointError(
                f"{where}: {key}", f"a {type(arguments).__name__}", "the arguments of a training"
            )
        return read_settings(arguments, f"{where}: {key}", unknown)
    return {}


def _compare(given: Settings, source: str, arguments: Settings, where: str) -> list[str]:
    """Compare a configuration with the training arguments where weights determine nothing."""
    differing = {
        key: f"{key} {given[key]!r} in {source}, {arguments[key]!r} in the checkpoint's args"
        for key in ("pooling_stat", "dvs_mode", "timesteps", "image_size", "dataset")
        if key in given and key in arguments and given[key] != arguments[key]
    }
    # Other steps and image sizes are legitimate; another structure silently changes the results.
    conflicts = [differing[key] for key in ("pooling_stat", "dvs_mode") if key in differing]
    if conflicts:
        raise CheckpointError(
            where,
            "; ".join(conflicts),
            "the structure that the network was trained with",
            "pass the conf.yml of this checkpoint, or none: its own arguments are then used",
        )
    return list(differing.values())


def _own_layout(state: Mapping[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Add the time axis of SLAYER's kernels, and fold biases into the normalisations."""
    converted: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if value.ndim == 4:
            converted[name] = value.unsqueeze(-1)
        elif not BIAS.fullmatch(name) and not is_counter(name):
            converted[name] = value
    for name, value in state.items():
        match = BIAS.fullmatch(name)
        if match is None:
            continue
        mean = f"{match[1]}bn{match[2]}.running_mean"
        for entry in (name, mean):
            check_kind(state[entry], tuple(value.shape), entry, where)
            check_values(state[entry], entry, where)
        # BN(W x + b) with mean m equals BN(W x) with mean m - b: exact except for one rounding.
        converted[mean] = converted[mean].double() - value.double()
    return converted
