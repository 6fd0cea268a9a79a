"""What the library asks of a family of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdt_lava.families.configuration import FamilyConfig
from sdt_lava.families.formula import Formula

if TYPE_CHECKING:
    from sdt_lava.families.import_report import ImportReport
    from sdt_lava.families.model import FamilyModel
    from sdt_lava.io.checkpoint.weights import Weights

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Networks of one architecture: everything that differs from one family to the next.

    The functions import torch when they are called, not before: presets and configurations are
    read without it.

    Parameters
    ----------
    name : str
        Name in files, such as 'sdt1'; the ``family`` of the configuration's class.
    title, paper : str
        Name of the network and its source, for messages and lists.
    config : type
        Class of the configurations.
    presets : mapping of str to FamilyConfig
        Configurations by name. The names differ from those of all other families.
    size_fields : tuple of str
        Integer fields of the configuration that determine the size of the network, for messages.
    tensors : callable
        Returns the name and shape of every entry of the state dict for a configuration, so that a
        file can be rejected before a network of the claimed size is built. Needs no torch.
    build : callable
        Returns a new network for a configuration.
    recognises : callable
        Tells from the names and tensors of a state dict whether `import_weights` can read it, which
        is not the library's own layout. Families that are registered later are asked first.
    import_weights : callable
        Builds a network from the content of the authors' checkpoint, the weights in it, the name
        of the file and a configuration or None; returns it with a report.
    formula : Formula, optional
        The paper's accounting of energy.
    """

    name: str
    title: str
    paper: str
    config: type[FamilyConfig]
    presets: Mapping[str, FamilyConfig]
    size_fields: tuple[str, ...]
    tensors: Callable[[Any], dict[str, Shape]]
    build: Callable[[Any], FamilyModel]
    recognises: Callable[[Mapping[str, Any]], bool]
    import_weights: Callable[
        [Mapping[Any, Any], Weights, str, Any], tuple[FamilyModel, ImportReport]
    ]
    formula: Formula | None = None
