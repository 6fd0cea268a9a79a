"""Quantization-aware fine-tuning: continue training with the weights that will be exported.

Fine-tuning starts from the folded model, in which batch normalisation has become weights and
biases. In the forward pass, every layer rounds its weights as the exporter currently would;
gradients pass straight through the rounding. Scales are updated to the weights once per epoch.
Because rounding makes the accuracy jump from step to step, the result is a moving average of the
weights over the last epochs. It is rounded, so that the exporter leaves it unchanged, and the
accuracy is that of the exported network.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sdt_lava.backends.run import simulate
from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.objects import as_dataset
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import ConfigError
from sdt_lava.families.blocks.layers import Norm
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.own import save_checkpoint
from sdt_lava.families.sdt1.config import DOWNSAMPLINGS
from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
from sdt_lava.importers import trace
from sdt_lava.ir import Conv, Graph
from sdt_lava.quantize.calibration import calibration_data, with_levels_of
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.first_layer import event_unit
from sdt_lava.quantize.post_training import quantize
from sdt_lava.quantize.weight_format import WeightFormat
from sdt_lava.training.training import Progress, TrainingOptions, TrainingResult, train

# Suitable for a network that is nearly converged; a full training starts from 6e-3.
FINE_TUNE_OPTIONS = TrainingOptions(epochs=6, learning_rate=1e-3, weight_decay=1e-4)
# Rounded weights need more training, and averaging smooths the effects of the larger steps.
ROUNDED_OPTIONS = replace(FINE_TUNE_OPTIONS, epochs=10, learning_rate=2e-3)
# Epochs over which weights are averaged: older epochs contribute 1 / e of the average.
_AVERAGED_EPOCHS = 2
_TEST_BATCH = 256


class FoldedNorm(Norm):
    """A batch normalisation that was folded into the weights and consists only of a bias.

    It has the same state dict as the module that it replaces. Statistics and gain are fixed to the
    identity.

    Parameters
    ----------
    bias : Tensor
        Bias of the folded layer, ``(C,)``.
    eps : float
        Epsilon of the replaced module.
    """

    def __init__(self, bias: Tensor, eps: float) -> None:
        super().__init__(len(bias), eps=eps)
        with torch.no_grad():
            self.bias.copy_(bias)
            self.weight.fill_(math.sqrt(1 + eps))
        self.weight.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> FoldedNorm:
        """Stay in evaluation mode regardless of ``mode``."""
        return super().train(False)


@dataclass
class RoundedWeights:
    """Round weights to multiples of ``unit`` in the forward pass; gradients pass through unchanged.

    Parameters
    ----------
    unit : float
        Distance between neighbouring weights.
    steps : int
        Largest number of units.
    is_paused : bool
        Whether weights are left as they are.
    """

    unit: float = 1.0
    steps: int = 1
    is_paused: bool = False

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the rounded weights."""
        if self.is_paused:
            return weight
        return weight + (self.round(weight) - weight).detach()

    @torch.no_grad()
    def round(self, weight: Tensor) -> Tensor:
        """Return weights rounded to the grid as exactly as their type allows, without gradient."""
        steps = torch.clamp(torch.round(weight / self.unit), -self.steps, self.steps)
        return steps * self.unit


class RoundedLinear(nn.Linear):
    """The head with rounded weights, with the same state dict as a linear layer."""

    def __init__(self, source: nn.Linear, rounding: RoundedWeights) -> None:
        super().__init__(source.in_features, source.out_features)
        self.load_state_dict(source.state_dict())
        self.rounding = rounding

    def forward(self, x: Tensor) -> Tensor:
        """Apply the rounded weights."""
        return nn.functional.linear(x, self.rounding(self.weight), self.bias)


def fold_model(model: SpikeDrivenTransformer) -> SpikeDrivenTransformer:
    """Return a copy of a model with batch normalisations folded into its weights."""
    folded = copy.deepcopy(model).eval()
    for node in trace(model).of_type(Conv):
        prefix, _, name = node.name.rpartition(".")
        norm_name = f"{prefix}.{name.replace('conv', 'bn')}"
        synapse, norm = folded.get_submodule(node.name), folded.get_submodule(norm_name)
        with torch.no_grad():
            synapse.weight.copy_(torch.tensor(node.weight)[..., None])
        assert node.bias is not None
        bias = torch.tensor(node.bias).float()
        folded.get_submodule(prefix).add_module(
            norm_name.rpartition(".")[2], FoldedNorm(bias, norm.eps)
        )
    return folded


class _Rounding:
    """The rounding of every layer of a model, kept consistent with the exporter."""

    def __init__(self, model: SpikeDrivenTransformer, bits: int, first_layer: str = "full") -> None:
        self.model = model
        self.weights = WeightFormat(bits, first_layer=first_layer)
        self.of_layer: dict[str, RoundedWeights] = {}
        for node in trace(model).of_type(Conv):
            rounding = RoundedWeights(steps=self.weights.mantissa)
            _set_rounding(model.get_submodule(node.name), rounding)
            self.of_layer[node.name] = rounding
        head = RoundedWeights(steps=self.weights.mantissa)
        model.head = RoundedLinear(model.head, head)
        self.of_layer["head"] = head
        self.refresh()

    def refresh(self) -> None:
        """Adopt the scales that the exporter would choose for the current weights."""
        weights = self.weights
        with self._paused():
            float_graph = trace(self.model)
        graph, report = quantize(float_graph, weights.bits, first_layer=weights.first_layer)
        for row in report.synapses:
            per_unit = row.scale * event_unit(graph, graph.nodes[row.name])
            self.of_layer[row.name].unit = self.weights.step * 2.0**row.exponent / per_unit

    @contextmanager
    def _paused(self) -> Iterator[None]:
        for rounding in self.of_layer.values():
            rounding.is_paused = True
        try:
            yield
        finally:
            for rounding in self.of_layer.values():
                rounding.is_paused = False

    @torch.no_grad()
    def apply(self) -> None:
        """Replace the weights by their rounded values, and remove the rounding."""
        for name, rounding in self.of_layer.items():
            layer = self.model.get_submodule(name)
            layer.weight.copy_(rounding.round(layer.weight))
            if name != "head":
                _set_rounding(layer, None)
        plain = nn.Linear(self.model.head.in_features, self.model.head.out_features)
        plain.load_state_dict(self.model.head.state_dict())
        self.model.head = plain


def _set_rounding(synapse: Any, rounding: RoundedWeights | None) -> None:
    # All synapses, including SLAYER's, apply this function to their weights at each use.
    synapse.pre_hook_fx = rounding


class _Average:
    """Exponential moving average of the trained weights."""

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._averages = [weight.detach().clone() for weight in self._weights]
        self._updates = 0

    @torch.no_grad()
    def update(self, window: float) -> None:
        """Add the current weights to the average, whose length is ``window`` updates."""
        self._updates += 1
        # The first updates are weighted equally.
        share = max(1 / window, 1 / self._updates)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.lerp_(weight, min(share, 1.0))

    @torch.no_grad()
    def take(self) -> None:
        """Replace the weights by their averages."""
        for average, weight in zip(self._averages, self._weights, strict=True):
            weight.copy_(average)


def _of_sdt1(model: FamilyModel) -> SpikeDrivenTransformer:
    """Return a model of the only family whose layers and pools these functions know."""
    if not isinstance(model, SpikeDrivenTransformer):
        raise ConfigError(
            "model",
            f"a network of the family {model.config.family!r}",
            "a Spike-driven Transformer",
        )
    return model


def fine_tune(
    model: FamilyModel,
    train_data: Dataset | SampleSource,
    test_data: Dataset | SampleSource,
    bits: int,
    options: TrainingOptions = ROUNDED_OPTIONS,
    *,
    first_layer: str = "full",
    checkpoint_path: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[SpikeDrivenTransformer, TrainingResult]:
    """Train a folded copy of a model with rounded weights.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model (no network of another family), which is not changed.
    train_data, test_data : Dataset, SampleSource or torch Dataset
        Labelled data, which are held in memory.
    bits : int
        Width of a weight, 2 to 8.
    options : TrainingOptions
        Options of the training.
    first_layer : {'full', 'fitted'}
        Weights of layers that read an image or counts, see :func:`sdt_lava.export`.
    checkpoint_path : path-like, optional
        File for the result; export it with the same number of bits and the same
        ``first_layer``.
    on_progress : callable, optional
        Called after each step and each epoch.

    Returns
    -------
    model : SpikeDrivenTransformer
        Folded and fine-tuned, in eval mode. Its weights are averages over the last epochs, rounded
        so that the exporter leaves them unchanged. Input levels that were only assumed are
        replaced by those of the training data.
    result : TrainingResult
        History; accuracies are those with rounded weights, the last one is that of the exported
        integer network.

    Raises
    ------
    QuantizationError, DataError, ConfigError, CheckpointError
        As :func:`sdt_lava.quantize.post_training.quantize` and
        :func:`sdt_lava.training.training.train`.
    """
    train_data, test_data = as_dataset(train_data), as_dataset(test_data)
    model = _of_sdt1(model)
    model = with_levels_of(model, train_data.x, f"the training samples of {train_data.name}")
    folded = fold_model(model)
    rounding, average = _Rounding(folded, bits, first_layer), _Average(folded)
    # Loaded before the training, so that missing data raise an error before time is spent.
    calibration = calibration_data(None, folded.config)

    def follow(progress: Progress) -> None:
        if progress.finished_epoch is None:
            average.update(_AVERAGED_EPOCHS * progress.steps)
        else:
            rounding.refresh()
        if on_progress is not None:
            on_progress(progress)

    history = train(folded, train_data, test_data, options, on_progress=follow).history
    average.take()
    rounding.refresh()
    rounding.apply()
    net, _ = to_network(folded, bits, calibration, first_layer=first_layer)
    final = replace(history[-1], test_accuracy=_accuracy(net, test_data))
    if checkpoint_path is not None:
        save_checkpoint(checkpoint_path, folded)
    return folded.eval(), TrainingResult((*history[:-1], final))


def _accuracy(net: Graph, data: Dataset) -> float:
    """Return the accuracy of an integer network; overflowing sums wrap, as on Lava."""
    assert data.y is not None
    correct = 0
    for start in range(0, len(data.x), _TEST_BATCH):
        part = slice(start, start + _TEST_BATCH)
        labels = simulate(net, data.x[part], strict=False).labels
        correct += int((labels == data.y[part]).sum())
    return correct / len(data.x)


def convert_pooling(model: FamilyModel, downsampling: str) -> SpikeDrivenTransformer:
    """Return a network with the same weights that halves its image with another method.

    This changes spikes: fine-tune the result.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        A model, such as an imported one with ``downsampling='max'``.
    downsampling : {'or', 'stride'}
        A method that Loihi 2 supports.

    Raises
    ------
    ConfigError
        If there is no such method, or the model is one of another family.
    """
    if downsampling not in DOWNSAMPLINGS:
        raise ConfigError("--pooling", repr(downsampling), f"one of {DOWNSAMPLINGS}")
    model = _of_sdt1(model)
    converted = SpikeDrivenTransformer(replace(model.config, downsampling=downsampling))
    converted.load_state_dict(model.state_dict())
    converted.assumes_levels = model.assumes_levels
    converted.levels_from = model.levels_from
    return converted.eval()


__all__ = [
    "FINE_TUNE_OPTIONS",
    "ROUNDED_OPTIONS",
    "FoldedNorm",
    "RoundedWeights",
    "convert_pooling",
    "fine_tune",
    "fold_model",
]
