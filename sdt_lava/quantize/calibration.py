"""Choose calibration samples for an export, and input levels that are only assumed."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdt_lava.datasets import (
    DATASETS,
    SourceOptions,
    first_samples,
    fitting_options,
    open_source,
)
from sdt_lava.datasets.normalisation import measured_levels
from sdt_lava.families.configuration import FamilyConfig
from sdt_lava.quantize.samples import CalibrationData
from sdt_lava.support.text import printable

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel

Model = TypeVar("Model", bound="FamilyModel")

# More samples hardly change extremes and shares, and calibration should not take minutes.
_CALIBRATION_SAMPLES = 256
# Levels must hold for all data, hence more samples; this number still fits in memory.
_LEVEL_SAMPLES = 4096


def calibration_data(
    name: str | None, config: FamilyConfig, options: SourceOptions | None = None
) -> CalibrationData | None:
    """Return the samples of a data set on which scales are chosen or ranges are measured.

    Parameters
    ----------
    name : str or None
        Data set or file on which scales are chosen. If None, the network's own data set is used
        for measuring only, if it is built in.
    config : FamilyConfig
        Configuration of the network, which names its data set.
    options : SourceOptions, optional
        Options for opening the data set.

    Raises
    ------
    DataError
        If the data set cannot be opened.
    """
    choose = name is not None
    name = name or (config.dataset if config.dataset in DATASETS else None)
    if name is None:
        return None
    frame = (config.in_channels, *config.image_size)
    options = fitting_options(
        name, frame, config.timesteps, options or SourceOptions(), config.dataset or None
    )
    source = open_source(name, "train", options)
    data = first_samples(source, min(_CALIBRATION_SAMPLES, len(source)))
    return CalibrationData(data.x, f"{len(data.x)} training samples of {data.name}", choose)


def with_levels_of(model: Model, x: NDArray[np.floating], name: str) -> Model:
    """Return a model with input levels measured on data, if its levels were only assumed.

    Parameters
    ----------
    model : FamilyModel
        The model; it is not changed, and shares its weights with the result.
    x : ndarray
        Samples ``(B, C, H, W)`` or ``(B, T, C, H, W)``.
    name : str
        Name of the data.
    """
    if not model.assumes_levels:
        return model
    indices = np.linspace(0, len(x) - 1, min(len(x), _LEVEL_SAMPLES)).round().astype(np.int64)
    levels, reason = measured_levels(np.asarray(x)[indices])
    result = copy(model)
    result.config = replace(
        model.config, input_scale=levels.scale, input_range=(levels.low, levels.high)
    )
    result.assumes_levels, result.levels_from = False, f"{reason} in {printable(name)}"
    return result


def levels_note(model: FamilyModel) -> str | None:
    """Return a sentence on input levels that were assumed or measured, or None if specified."""
    config = model.config
    low, high = config.input_range
    levels = f"input levels {low}..{high}, {config.input_scale:g} a unit"
    if model.assumes_levels:
        return (
            f"{levels}, are assumed: nothing is known of the data; --calibration DATA chooses them"
        )
    return f"{levels}: {model.levels_from}" if model.levels_from else None
