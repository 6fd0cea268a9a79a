"""Step 2: the torch module."""

from __future__ import annotations

from torch import Tensor, nn

from sdt_lava.families.blocks.layers import Record, batch_norm, conv3x3, keep
from sdt_lava.families.blocks.neurons import make_lif
from sdt_lava.families.model import FamilyModel
from tests.toy_family.config import ToyConfig


class ToyNetwork(FamilyModel):
    """Two convolutions with neurons, a mean over the image and a head."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.conv1, self.bn1 = conv3x3(config.in_channels, config.width), batch_norm(config.width)
        self.conv2, self.bn2 = conv3x3(config.width, config.width, 2), batch_norm(config.width)
        self.lif1, self.head_lif = make_lif(config), make_lif(config)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """Return the logits, averaged over time."""
        if x.ndim == 4:
            current = self.bn1(self.conv1(x.unsqueeze(-1)))
            current = current.expand(*current.shape[:-1], self.config.timesteps)
        else:
            current = self.bn1(self.conv1(x.permute(0, 2, 3, 4, 1)))
        spikes = self.lif1(current)
        keep(record, "lif1", spikes)
        current = self.bn2(self.conv2(spikes))
        spikes = self.head_lif(current.mean(dim=(2, 3)))
        keep(record, "head_lif", spikes)
        return self.head(spikes.permute(2, 0, 1)).mean(0)
