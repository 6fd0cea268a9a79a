"""What the rest of the library reads of a configuration, whatever the family of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

# Family of configurations that do not name one, such as those in older files.
DEFAULT_FAMILY = "sdt1"
FAMILY_ENTRY = "family"


class FamilyConfig(Protocol):
    """A frozen dataclass with all properties of a network that its state dict does not determine.

    Besides the fields below, a configuration has those of its family.

    Attributes
    ----------
    family : str
        Name of the family, on the class.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    family: ClassVar[str]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width ``(H, W)`` of the input."""

    @property
    def in_channels(self) -> int:
        """Channels of the input."""

    @property
    def num_classes(self) -> int:
        """Number of outputs."""

    @property
    def timesteps(self) -> int:
        """Steps T for which an image is presented."""

    @property
    def input_scale(self) -> float:
        """Integer levels per unit of the input."""

    @property
    def input_range(self) -> tuple[int, int]:
        """Smallest and largest integer input."""

    @property
    def dataset(self) -> str:
        """Name of the data set on which the network was trained, or an empty string."""

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain numbers, strings and lists."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = ...) -> FamilyConfig:
        """Build a configuration from plain values."""


def to_plain(config: FamilyConfig) -> dict[str, Any]:
    """Return a configuration as plain values for files, with its family unless it is the default.

    Files of the default family are thus the same as before there were others.
    """
    values = config.to_dict()
    if config.family == DEFAULT_FAMILY:
        return values
    return {FAMILY_ENTRY: config.family, **values}
