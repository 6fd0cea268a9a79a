"""Import of the checkpoints that the authors' training script writes.

Their layout differs from ours in three ways: convolutions have no time axis, three of them per
block have a bias before their batch normalisation, and there are weights that nothing uses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sdt_lava.checkpoint.config_source import (
    ConfigSource,
    official_settings,
    resolve_config,
    source_label,
)
from sdt_lava.checkpoint.official_config import OFFICIAL, Settings, complete, read_settings
from sdt_lava.checkpoint.official_layout import (
    BIASED,
    PREFIX,
    official_tensors,
    plain_state,
    without_unused,
)
from sdt_lava.checkpoint.official_shapes import contradictions, deduce
from sdt_lava.checkpoint.own import build_model
from sdt_lava.checkpoint.tensors import (
    check_kind,
    check_layout,
    check_values,
    differences,
    listed,
)
from sdt_lava.errors import CheckpointError, ConfigError
from sdt_lava.model.config import SdtConfig
from sdt_lava.model.transformer import SpikeDrivenTransformer

logger = logging.getLogger(__name__)


# A wrong preset contradicts nearly every tensor: a few names show where.
_NAMES_OF_CONTRADICTIONS = 4


class TrainingArguments:
    """An empty bag that takes the attributes of the ``argparse.Namespace`` in a checkpoint."""


# The one class, besides containers and tensors, that an official checkpoint may name.
INERT_CLASSES: Mapping[tuple[str, str], type] = {("argparse", "Namespace"): TrainingArguments}


@dataclass(frozen=True)
class ImportReport:
    """What was done to an official checkpoint.

    Parameters
    ----------
    path : str
        The file.
    weights : str
        Which set of weights was taken: 'state_dict', 'state_dict_ema', or 'file' for a file
        that is nothing but a state dict.
    unused : tuple of str
        Tensors that the authors' network holds and never uses.
    prefixed : int
        How many names had the prefix ``module.`` of a distributed training, which is removed.
    configuration : str
        Where the configuration comes from.
    notes : tuple of str
        What was changed in the configuration, and what it overrides.
    """

    path: str
    weights: str
    unused: tuple[str, ...]
    prefixed: int
    configuration: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the report as sentences."""
        lines = [f"imported {self.weights} of {self.path}"]
        lines += [f"configuration from {self.configuration}", *self.notes]
        if self.prefixed:
            lines.append(f"removed the prefix {PREFIX!r} of {self.prefixed} names")
        if self.unused:
            lines.append(f"left out, as the network does not use them: {listed(self.unused)}")
        return lines


def is_official(content: Any) -> bool:
    """Tell whether the content of an archive is in the authors' layout."""
    if not isinstance(content, dict) or "format" in content:
        return False
    if "state_dict" in content or "state_dict_ema" in content:
        return True
    # Our convolutions have a time axis and so five axes.
    return any(isinstance(value, torch.Tensor) and value.ndim == 4 for value in content.values())


def import_official(
    content: Any, where: str, config: ConfigSource | None = None, *, ema: bool = False
) -> tuple[SpikeDrivenTransformer, ImportReport]:
    """Build a network from the content of an official checkpoint.

    Parameters
    ----------
    content : dict
        What `read_archive` returned with `INERT_CLASSES`.
    where : str
        The file, for messages.
    config : SdtConfig, mapping, Namespace, str or path-like, optional
        Configuration, preset name, or JSON or conf.yml file. By default, the training arguments
        in the checkpoint. Pooling of the pre-activation and the float neuron are always those
        of the authors, whatever it says.
    ema : bool
        Take the moving average of the weights.

    Returns
    -------
    model : SpikeDrivenTransformer
        In eval mode.
    report : ImportReport
        What was done; also logged.

    Raises
    ------
    CheckpointError
        If tensors are missing, unexpected, of the wrong shape or contradict the configuration.
    ConfigError
        If the configuration is wrong or incomplete.
    """
    weights, raw = _choose_weights(content, where, ema)
    state, unused = without_unused(plain_state(raw, where), where)
    resolved, source, notes = _configure(content, config, state, unused, where)
    check_layout(state, official_tensors(resolved), where)
    model = build_model(resolved, _own_layout(state, where), where)
    prefixed = sum(name.startswith(PREFIX) for name in raw)
    report = ImportReport(where, weights, tuple(unused), prefixed, source, notes)
    for line in report.lines():
        logger.info("%s", line)
    return model, report


def _choose_weights(content: Mapping[str, Any], where: str, ema: bool) -> tuple[str, Any]:
    wrapped = "state_dict" in content or "state_dict_ema" in content
    name = "state_dict_ema" if ema else "state_dict"
    if wrapped and name in content:
        return name, content[name]
    if not wrapped and not ema:
        return "file", content
    kept = [key for key in ("state_dict", "state_dict_ema") if key in content]
    raise CheckpointError(
        where,
        f"no {name}",
        f"a checkpoint with {name}; this one has {kept or 'plain weights'}",
        "import the ordinary weights, without --ema" if ema else "pass --ema",
    )


def _configure(
    content: Mapping[str, Any],
    config: ConfigSource | None,
    state: Mapping[str, torch.Tensor],
    unused: Mapping[str, torch.Tensor],
    where: str,
) -> tuple[SdtConfig, str, tuple[str, ...]]:
    """Join what the user, the training arguments and the shapes of the weights say.

    Returns the configuration, what to call its source, and notes on it.
    """
    arguments = _arguments(content, where) if "args" in content else {}
    given, source = _given(config, arguments, where)
    notes = [] if config is None else _compare(given, source, arguments, where)
    deduced = deduce(state, unused)
    filled = {key: value for key, (value, _) in deduced.items()}
    settings = {**arguments, **filled, **given}
    wrong = contradictions(given, source, deduced)
    if wrong:
        raise CheckpointError(
            where,
            "; ".join([*wrong, *_tensors_that_differ(settings, state)]),
            "a configuration that describes these weights",
            "pass the conf.yml or the preset that the network was trained with",
        )
    resolved = complete(settings, source)
    for key, value in OFFICIAL.items():
        if given.get(key, value) != value:
            notes.append(f"{key} is {value!r} as in the official network, not {given[key]!r}")
    return resolved, source, tuple(notes)


def _tensors_that_differ(settings: Settings, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Name the tensors that a wrong configuration asks for, if it can be completed at all."""
    try:
        expected = official_tensors(complete(settings, ""))
    except ConfigError:
        return []
    return differences(state, expected, _NAMES_OF_CONTRADICTIONS)


def _given(config: ConfigSource | None, arguments: Settings, where: str) -> tuple[Settings, str]:
    """Return the settings that decide, and what to call their source."""
    if config is None:
        if not arguments:
            raise CheckpointError(
                where,
                "no configuration in the file (a state dict does not say T, pooling or image size)",
                remedy="pass --config with the official conf.yml, a preset name or a JSON file",
            )
        return arguments, f"{where}: args"
    settings = official_settings(config)
    if settings is None:
        settings = dict(vars(resolve_config(config)))
    return settings, source_label(config)


def _arguments(content: Mapping[str, Any], where: str) -> Settings:
    arguments = content["args"]
    if isinstance(arguments, TrainingArguments):
        arguments = vars(arguments)
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise CheckpointError(
            f"{where}: args", f"a {type(arguments).__name__}", "the arguments of a training"
        )
    return read_settings(arguments, f"{where}: args")


def _compare(given: Settings, source: str, arguments: Settings, where: str) -> list[str]:
    """Compare a configuration with the arguments of the training, where weights cannot tell."""
    different = {
        key: f"{key} {given[key]!r} in {source}, {arguments[key]!r} in the checkpoint's args"
        for key in ("pooling_stat", "dvs_mode", "timesteps", "image_size")
        if key in given and key in arguments and given[key] != arguments[key]
    }
    # Other steps and image sizes are legitimate; another structure gives other numbers silently.
    wrong = [different[key] for key in ("pooling_stat", "dvs_mode") if key in different]
    if wrong:
        raise CheckpointError(
            where,
            "; ".join(wrong),
            "the structure that the network was trained with",
            "pass the conf.yml of this checkpoint, or none: its own arguments are then used",
        )
    return list(different.values())


def _own_layout(state: Mapping[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """Add the time axis of SLAYER's kernels and take up biases into the normalisations."""
    own: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if value.ndim == 4:
            own[name] = value.unsqueeze(-1)
        elif not name.endswith(BIASED):
            own[name] = value
    for name, value in state.items():
        if name.endswith(BIASED):
            mean = name.replace("_conv.bias", "_bn.running_mean")
            for entry in (name, mean):
                check_kind(state[entry], tuple(value.shape), entry, where)
                check_values(state[entry], entry, where)
            # BN(W x + b) with mean m is BN(W x) with mean m - b: exact but for one rounding.
            own[mean] = own[mean].double() - value.double()
    return own
