"""Choose the integer input levels of an imported network: specified, known or assumed."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from sdt_lava.datasets.normalisation import (
    EVENT_LEVELS,
    NORMALISATION,
    InputLevels,
    assumed_levels,
    event_levels,
    image_levels,
)
from sdt_lava.errors import ConfigError
from sdt_lava.families.sdt1.config import SdtConfig

Settings = dict[str, Any]

_LEVELS_REMEDY = (
    "if the network was trained on other values, set input_scale and input_range in the "
    "configuration, or export with --calibration DATA"
)
_NORMALISATION_REMEDY = "give the values that the images of the training are normalised with"


def assumes_levels(config: SdtConfig, settings: Settings) -> bool:
    """Return whether nothing was known about the network's input.

    Parameters
    ----------
    config : SdtConfig
        The configuration made from the settings.
    settings : dict
        The settings in the sources of the configuration.
    """
    level_fields = {"input_scale", "input_range"} & set(settings)
    return not (level_fields or config.input_std or config.dataset in EVENT_LEVELS)


def input_fields(values: Settings, where: str) -> tuple[Settings, str]:
    """Return the normalisation and integer levels of the input, and their origin.

    Parameters
    ----------
    values : dict
        Fields of `SdtConfig`; levels among them are kept.
    where : str
        Name of the source in errors.

    Raises
    ------
    ConfigError
        If only one of mean and standard deviation is present, or they do not fit the channels.
    """
    dataset, channels = values.get("dataset", ""), values["in_channels"]
    mean, std = values.get("input_mean", ()), values.get("input_std", ())
    if bool(mean) != bool(std) and dataset not in EVENT_LEVELS:
        raise ConfigError(
            f"{where}: mean, std", "one of the two", "both, or none of them",
            _NORMALISATION_REMEDY,
        )  # fmt: skip
    if dataset in EVENT_LEVELS:
        levels, reason = event_levels(dataset, values.get("image_size"))
        reason, mean, std = f"{reason} ({dataset})", (), ()
    elif mean and std:
        levels, reason = _normalised(mean, std, channels, where), "from mean and std"
    elif len(NORMALISATION.get(dataset, ((), ()))[0]) == channels:
        mean, std = NORMALISATION[dataset]
        levels, reason = image_levels(mean, std), f"from mean and std of {dataset}"
    else:
        levels, assumption = assumed_levels(channels)
        reason = f"nothing is known of data set {dataset or 'none'!r}: {assumption} "
        reason += f"({channels} channel{'s' * (channels > 1)}); {_LEVELS_REMEDY}"
    normalisation = {"input_mean": mean, "input_std": std}
    if "input_scale" in values or "input_range" in values:
        return _given_levels(values, levels) | normalisation, "as the configuration says"
    scale, span = levels.scale, (levels.low, levels.high)
    return {"input_scale": scale, "input_range": span, **normalisation}, reason


def _normalised(
    mean: tuple[float, ...], std: tuple[float, ...], channels: int, where: str
) -> InputLevels:
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise ConfigError(
            f"{where}: mean, std",
            f"{len(mean)} and {len(std)} values for {channels} channels",
            "a mean and a positive standard deviation for each channel",
            _NORMALISATION_REMEDY,
        )
    return image_levels(mean, std)


def _given_levels(values: Settings, levels: InputLevels) -> Settings:
    """Return levels with the specified scale or range; a missing range is scaled with the scale."""
    scale = values.get("input_scale", levels.scale)
    ratio = scale / levels.scale
    span = (floor(levels.low * ratio), ceil(levels.high * ratio))
    return {"input_scale": scale, "input_range": values.get("input_range", span)}
