"""Draft networks to be trained: presets, or configurations completed from the data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import prod
from pathlib import Path

from sdt_lava.datasets import DATASETS, SOURCES
from sdt_lava.datasets.normalisation import NORMALISATION
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.families.arguments import listed_arguments
from sdt_lava.families.config_source import (
    CONFIG_SUFFIXES,
    is_of_other_family,
    official_settings,
    read_content,
)
from sdt_lava.families.configuration import DEFAULT_FAMILY, FamilyConfig
from sdt_lava.families.input_levels import Settings, assumes_levels, input_fields
from sdt_lava.families.own_notation import entry, own_settings, set_remedy
from sdt_lava.families.registry import FAMILIES, family_of, from_plain, presets
from sdt_lava.families.sdt1.config import SdtConfig
from sdt_lava.families.sdt1.official_config import complete
from sdt_lava.support.text import quoted

# Required fields that data cannot determine, and example values.
_NEEDED = {"dim": "64", "depth": "1"}
# Fields that data determine, and values with which a configuration without them can be checked:
# sides can be halved four times.
_SAID_BY_DATA: Settings = {
    "image_size": (16, 16), "in_channels": 3, "num_classes": 10, "timesteps": 4,
}  # fmt: skip
_STEPS_PROPOSED = "4"
# [byte] of memory per weight in training: weight, gradient and two moments of AdamW, in float32.
_TRAINED_WEIGHT = 16
# Numbers of axes of a sample: static image, and frames.
_IMAGE, _FRAMES = 3, 4


@dataclass(frozen=True)
class Draft:
    """The known settings of a network, which the data complete.

    Parameters
    ----------
    where : str
        The configuration file, or the name of the preset.
    settings : dict
        Known fields of `SdtConfig`.
    is_official : bool
        Whether the settings are in the authors' notation, which implies their neurons and pooling.
    is_preset : bool
        Whether the settings are those of a preset, and thus complete.
    inferred : tuple of str
        The fields that were inferred from the data.
    family : str
        Family of the network. Only drafts of SDT-V1 can be incomplete.
    """

    where: str
    settings: Settings
    is_official: bool = False
    is_preset: bool = False
    inferred: tuple[str, ...] = ()
    family: str = DEFAULT_FAMILY

    @property
    def title(self) -> str:
        """Name of the network in tables."""
        return self.where if self.is_preset else Path(self.where).name

    @property
    def dataset(self) -> str:
        """Name of the data set, or an empty string."""
        name: str = self.settings.get("dataset", "")
        return name

    @property
    def frame(self) -> tuple[int, ...] | None:
        """Shape ``(C, H, W)`` of the input, if it is known."""
        settings = self.settings
        if "in_channels" in settings and "image_size" in settings:
            return (settings["in_channels"], *settings["image_size"])
        return None

    @property
    def timesteps(self) -> int | None:
        """Steps T, if they are known."""
        return self.settings.get("timesteps")

    def reading(self, name: str) -> Draft:
        """Return the draft for training on the data set with this name.

        Raises
        ------
        ConfigError
            If the configuration names another data set, or a normalisation that is never applied.
        """
        if self.is_preset:
            return self
        is_named = name in SOURCES or name in DATASETS
        normalisation = tuple(self.settings.get(field, ()) for field in ("input_mean", "input_std"))
        is_applied = normalisation == NORMALISATION.get(self.dataset or name)
        if any(normalisation) and not is_applied and (is_named or Path(name).is_dir()):
            raise ConfigError(
                f"{self.where}: input_mean, input_std", f"values that reading {name} does not use",
                "those of its data set, or none",
                f"leave them out of {quoted(self.where)}, or pass normalised samples as .npz",
            )  # fmt: skip
        if not is_named:
            return self
        named_sets = {*SOURCES, *DATASETS} & {self.dataset}
        if named_sets and self.dataset != name:
            raise ConfigError(
                "--data", f"{name}, and dataset {self.dataset} in {self.where}", "one data set",
                f"leave out dataset in {quoted(self.where)}, or --data",
            )  # fmt: skip
        return replace(self, settings={**self.settings, "dataset": self.dataset or name})

    def with_samples(self, source: SampleSource) -> Draft:
        """Return the draft completed with the shape of the samples.

        Raises
        ------
        DataError
            If the samples have a different shape, or are not images or frames.
        """
        shape = source.sample_shape
        if len(shape) not in (_IMAGE, _FRAMES):
            raise DataError(
                source.name, f"samples of shape {shape}", "images (C, H, W) or frames (T, C, H, W)",
                "reshape x: a Spike-driven Transformer reads images",
            )  # fmt: skip
        sample_fields: Settings = {"in_channels": shape[-3], "image_size": tuple(shape[-2:])}
        if len(shape) == _FRAMES:
            sample_fields["timesteps"] = shape[0]
        conflicts = {
            field: value
            for field, value in sample_fields.items()
            if self.settings.get(field, value) != value
        }
        if conflicts:
            raise self._contradicted(source, conflicts, sample_fields)
        return self._filled(sample_fields)

    def with_classes(self, train: SampleSource, test: SampleSource) -> Draft:
        """Return the draft with the number of classes from the configuration or else the labels.

        Raises
        ------
        DataError
            If there are more classes than outputs, or no labels.
        """
        for source in (train, test):
            if not source.num_classes:
                raise DataError(
                    source.name, "no labels", "labels 'y' for every sample",
                    "numpy.savez(path, x=x, y=y)",
                )  # fmt: skip
        largest = max((train, test), key=lambda source: source.num_classes)
        outputs = self.settings.get("num_classes", largest.num_classes)
        if largest.num_classes > outputs:
            raise DataError(
                largest.name,
                f"{largest.num_classes} classes",
                f"at most {outputs} for {self._named()}",
                self._advice({"num_classes": largest.num_classes}),
            )
        return self._filled({"num_classes": outputs})

    def config(self) -> tuple[FamilyConfig, bool]:
        """Return the configuration, and whether its input levels are only assumed.

        Raises
        ------
        ConfigError
            If a setting is missing or impossible, or training needs more memory than there is.
        """
        if self.is_preset or self.family != DEFAULT_FAMILY:
            return FAMILIES[self.family].config(**self.settings), False
        if self.timesteps is None:
            raise ConfigError(
                f"{self.where}: timesteps", "missing, and the data are single images",
                "the steps for which an image is presented",
                f"add {entry(self.where, 'timesteps', _STEPS_PROPOSED)} to {quoted(self.where)}",
            )  # fmt: skip
        config = _configured(self.where, self.settings, self.is_official)
        return config, self.dataset not in DATASETS and assumes_levels(config, self.settings)

    def _filled(self, said: Settings) -> Draft:
        new = tuple(field for field in said if field not in self.settings)
        settings = {**said, **self.settings}
        return replace(self, settings=settings, inferred=(*self.inferred, *new))

    def _named(self) -> str:
        return f"preset {self.where!r}" if self.is_preset else self.where

    def _contradicted(self, source: SampleSource, wrong: Settings, said: Settings) -> DataError:
        expected = ", ".join(f"{field} {self.settings[field]}" for field in wrong)
        return DataError(
            source.name,
            f"samples of shape {source.sample_shape}",
            f"{expected}, as in {self._named()}",
            self._advice({field: said[field] for field in wrong}),
        )

    def _advice(self, values: Settings) -> str:
        if self.is_preset:
            return "name other data, or write the size of your own network into a file: --config"
        texts = {
            field: str(list(value)) if isinstance(value, tuple) else str(value)
            for field, value in values.items()
        }
        entries = ", ".join(entry(self.where, field, text) for field, text in texts.items())
        return f"write {entries} into {quoted(self.where)}, or leave it out"


def read_draft(preset: str | None, config: str | None) -> Draft:
    """Return the network selected by ``--preset`` or ``--config``, checked as far as possible.

    Parameters
    ----------
    preset : str or None
        Name of a preset.
    config : str or None
        Name of a preset, or a JSON, YAML or TOML file.

    Raises
    ------
    ConfigError
        If both or neither is specified, the preset or file does not exist, or its values are
        impossible.
    """
    if (preset is None) == (config is None):
        problem = "both --preset and --config" if preset is not None else "no network"
        raise ConfigError("--preset, --config", problem, "one of the two", "--preset digits")
    known = presets()
    if config is not None and config not in known:
        return _read_file(config)
    name = preset if config is None else config
    if name not in known:
        raise _no_preset(str(name))
    chosen = known[name]
    return Draft(name, dict(vars(chosen)), is_preset=True, family=chosen.family)


def _no_preset(name: str) -> ConfigError:
    near = get_close_matches(name, presets(), 1)
    remedy = f"--preset {near[0]}" if near else ""
    if Path(name).suffix.lower() in CONFIG_SUFFIXES or (name and Path(name).is_file()):
        remedy = f"pass a file as --config {quoted(name)}"
    return ConfigError("--preset", repr(name), f"one of {sorted(presets())}", remedy)


def _read_file(path: str) -> Draft:
    content = read_content(path)
    if is_of_other_family(content):
        config = from_plain(content, path)
        return Draft(path, dict(vars(config)), family=config.family)
    with _errors_about(path):
        official = official_settings(content, path)
        settings = own_settings(content, path) if official is None else official
    required = _NEEDED if official is None else {**_NEEDED, "pooling_stat": "'1111'"}
    missing = [field for field in required if field not in settings]
    if missing:
        entries = ", ".join(entry(path, field, required[field]) for field in missing)
        raise ConfigError(
            path, f"no {listed_arguments(missing)}", "the size of the network",
            f"add {entries}, or others, to {quoted(path)}",
        )  # fmt: skip
    mean = settings.get("input_mean")
    channels = {"in_channels": len(mean)} if mean and isinstance(mean, tuple) else {}
    _configured(path, {**_SAID_BY_DATA, **channels, **settings}, official is not None)
    return Draft(path, settings, official is not None)


def _configured(where: str, settings: Settings, is_official: bool) -> SdtConfig:
    """Return the configuration of complete settings, with input levels as far as they are known."""
    with _errors_about(where):
        if is_official:
            config = complete(settings, where)
        else:
            SdtConfig(**{"input_scale": 1.0, "input_range": (0, 1), **settings})
            # From here on, all values have the right types.
            config = SdtConfig(**{**settings, **_levels(settings, where)})
    _check_memory(config, where)
    return config


def _levels(settings: Settings, where: str) -> Settings:
    built_in = settings.get("dataset", "")
    if built_in not in DATASETS:
        return input_fields(settings, where)[0]
    preset = presets()[built_in]
    levels = {"input_scale": preset.input_scale, "input_range": preset.input_range}
    return {field: settings.get(field, value) for field, value in levels.items()}


@contextmanager
def _errors_about(where: str) -> Iterator[None]:
    """Make errors name the file and the field to change in it."""
    try:
        yield
    except ConfigError as error:
        location = error.where.removeprefix("config.")
        field = location if location != error.where else error.where.removeprefix(f"{where}: ")
        remedy = error.remedy or set_remedy(where, "other values" if field == where else field)
        place = where if field == where else f"{where}: {field}"
        raise ConfigError(place, error.found, error.allowed, remedy) from None


def _check_memory(config: SdtConfig, where: str) -> None:
    required = _TRAINED_WEIGHT * count_weights(config)
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if required > available:
        raise ConfigError(
            where,
            f"{count_weights(config):,} weights, whose training takes {required / 2**30:,.0f} GiB",
            f"at most the {available / 2**30:.0f} GiB of this machine",
            f"make dim, depth or mlp_ratio smaller in {quoted(where)}",
        )


def count_weights(config: FamilyConfig) -> int:
    """Return the number of weights of convolutions and head, without BatchNorm and biases."""
    shapes = family_of(config).tensors(config).values()
    return sum(prod(shape) for shape in shapes if len(shape) > 1)


def describe(config: FamilyConfig, inferred: tuple[str, ...] = ()) -> str:
    """Return one line about the size of a network and the fields inferred from the data."""
    height, width = config.image_size
    size = [f"{field} {getattr(config, field)}" for field in family_of(config).size_fields]
    text = ", ".join(
        [
            f"network: input {config.in_channels}x{height}x{width}, T = {config.timesteps}",
            *size,
            f"{config.num_classes} classes, {count_weights(config):,} weights",
        ]
    )
    return f"{text}; {', '.join(inferred)} from the data" if inferred else text
