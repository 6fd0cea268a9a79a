"""The base class of the torch modules of all families."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sdt_lava.families.blocks.layers import Record
from sdt_lava.families.configuration import to_plain
from sdt_lava.ir import Input


class FamilyModel(nn.Module):
    """A network that knows its configuration, and is therefore traced without an example.

    Parameters
    ----------
    config : FamilyConfig
        The architecture.

    Attributes
    ----------
    config : FamilyConfig
        The architecture.
    assumes_levels : bool
        Whether the configuration's input levels are only assumed because nothing was known about
        the data; training, and export with calibration data, then choose levels from the data.
    levels_from : str
        Data from which the levels were chosen; empty if they were specified, known or assumed.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.assumes_levels = False
        self.levels_from = ""

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """Return the logits ``(B, classes)``, averaged over time.

        Parameters
        ----------
        x : Tensor
            Images ``(B, C, H, W)``, or event frames ``(B, T, C, H, W)``.
        record : dict, optional
            Receives the spikes of every neuron, uint8 ``(T, B, *shape)``, by module.
        """
        raise NotImplementedError

    def graph_input(self) -> Input:
        """Return the entry of the network's graph."""
        config = self.config
        low, high = config.input_range
        shape = (config.in_channels, *config.image_size)
        return Input(name="input", shape=shape, scale=config.input_scale, low=low, high=high)

    def graph_steps(self) -> int:
        """Return the number of time steps of an image."""
        steps: int = self.config.timesteps
        return steps

    def graph_metadata(self) -> dict[str, Any]:
        """Return what travels with the network's graph."""
        return {"config": to_plain(self.config)}
