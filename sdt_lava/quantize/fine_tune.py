"""Quantization-aware fine-tuning: train on with the weights that will be exported.

It starts from the folded model: batch normalisation has become weights and biases. In the forward
pass every layer uses its weights rounded as the exporter would round them now; gradients pass
straight through the rounding. Scales follow the weights once an epoch. Rounding makes accuracy
jump from step to step, so the result is a moving average of the weights over the last epochs;
rounded, it is what the exporter finds.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sdt_lava.checkpoint.own import save_checkpoint
from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.objects import as_dataset
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import ConfigError
from sdt_lava.graph import Conv
from sdt_lava.model.config import DOWNSAMPLINGS
from sdt_lava.model.trace import trace
from sdt_lava.model.training import Progress, TrainingOptions, TrainingResult, accuracy, train
from sdt_lava.model.transformer import SpikeDrivenTransformer
from sdt_lava.quantize.integer import WeightFormat, event_unit
from sdt_lava.quantize.post_training import quantize

# Suits a network that is nearly right already; a full training starts from 6e-3.
FINE_TUNE_OPTIONS = TrainingOptions(epochs=6, learning_rate=1e-3, weight_decay=1e-4)
# With rounded weights: further to go, and what larger steps do is averaged out.
ROUNDED_OPTIONS = replace(FINE_TUNE_OPTIONS, epochs=10, learning_rate=2e-3)
# Epochs over which weights are averaged: 1 / e of the average is older.
_AVERAGED_EPOCHS = 2


class FoldedNorm(nn.BatchNorm3d):
    """A batch normalisation that was folded into the weights: only a bias is left.

    It keeps the state dict of the module that it replaces. Statistics and gain are the
    identity and stay so.

    Parameters
    ----------
    bias : Tensor
        Bias of the folded layer, ``(C,)``.
    eps : float
        Epsilon of the module that it replaces.
    """

    def __init__(self, bias: Tensor, eps: float) -> None:
        super().__init__(len(bias), eps=eps)
        with torch.no_grad():
            self.bias.copy_(bias)
            self.weight.fill_(math.sqrt(1 + eps))
        self.weight.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> FoldedNorm:
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)


@dataclass
class RoundedWeights:
    """Round weights to multiples of ``unit`` in the forward pass; the gradient passes through.

    Parameters
    ----------
    unit : float
        Distance between neighbouring weights.
    steps : int
        Largest number of units.
    """

    unit: float = 1.0
    steps: int = 1

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the rounded weights."""
        return weight + (self.round(weight) - weight).detach()

    @torch.no_grad()
    def round(self, weight: Tensor) -> Tensor:
        """Return the rounded weights, as close to the grid as their type can be; no gradient."""
        steps = torch.clamp(torch.round(weight / self.unit), -self.steps, self.steps)
        return steps * self.unit


class RoundedLinear(nn.Linear):
    """The head with rounded weights; the same state dict as a linear layer."""

    def __init__(self, source: nn.Linear, rounding: RoundedWeights) -> None:
        super().__init__(source.in_features, source.out_features)
        self.load_state_dict(source.state_dict())
        self.rounding = rounding

    def forward(self, x: Tensor) -> Tensor:
        """Apply the rounded weights."""
        return nn.functional.linear(x, self.rounding(self.weight), self.bias)


def fold_model(model: SpikeDrivenTransformer) -> SpikeDrivenTransformer:
    """Return a copy whose batch normalisations are folded into its weights."""
    folded = copy.deepcopy(model).eval()
    for node in trace(model).of_type(Conv):
        prefix, _, name = node.name.rpartition(".")
        norm_name = f"{prefix}.{name.replace('conv', 'bn')}"
        synapse, norm = folded.get_submodule(node.name), folded.get_submodule(norm_name)
        with torch.no_grad():
            synapse.weight.copy_(torch.from_numpy(node.weight)[..., None])
        assert node.bias is not None
        bias = torch.from_numpy(node.bias).float()
        folded.get_submodule(prefix).add_module(
            norm_name.rpartition(".")[2], FoldedNorm(bias, norm.eps)
        )
    return folded


class _Rounding:
    """The rounding of every layer of a model, kept in step with what the exporter would do."""

    def __init__(self, model: SpikeDrivenTransformer, bits: int) -> None:
        self.model = model
        self.bits = bits
        self.weights = WeightFormat(bits)
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
        """Take over the scales that the exporter would choose for the weights as they are."""
        graph, report = quantize(trace(self.model), self.bits)
        for row in report.synapses:
            per_unit = row.scale * event_unit(graph, graph.nodes[row.name])
            self.of_layer[row.name].unit = self.weights.step * 2.0**row.exponent / per_unit

    @torch.no_grad()
    def apply(self) -> None:
        """Leave the model with its rounded weights."""
        for name, rounding in self.of_layer.items():
            layer = self.model.get_submodule(name)
            layer.weight.copy_(rounding.round(layer.weight))
            if name != "head":
                _set_rounding(layer, None)
        plain = nn.Linear(self.model.head.in_features, self.model.head.out_features)
        plain.load_state_dict(self.model.head.state_dict())
        self.model.head = plain


def _set_rounding(synapse: Any, rounding: RoundedWeights | None) -> None:
    # SLAYER applies this to the weights whenever a synapse is used.
    synapse.pre_hook_fx = rounding


class _Average:
    """Exponential moving average of the weights that are trained."""

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._averages = [weight.detach().clone() for weight in self._weights]
        self._updates = 0

    @torch.no_grad()
    def update(self, window: float) -> None:
        """Take in the weights as they are; ``window`` is the average's length in updates."""
        self._updates += 1
        # At the start, the average of what there is.
        share = max(1 / window, 1 / self._updates)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.lerp_(weight, min(share, 1.0))

    @torch.no_grad()
    def take(self) -> None:
        """Replace the weights by their averages."""
        for average, weight in zip(self._averages, self._weights, strict=True):
            weight.copy_(average)


def fine_tune(
    model: SpikeDrivenTransformer,
    train_data: Dataset | SampleSource,
    test_data: Dataset | SampleSource,
    bits: int,
    options: TrainingOptions = ROUNDED_OPTIONS,
    *,
    checkpoint_path: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[SpikeDrivenTransformer, TrainingResult]:
    """Train a folded copy of a model with rounded weights.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Trained model; it is left as it is.
    train_data, test_data : Dataset, SampleSource or torch Dataset
        Labelled data; held in memory.
    bits : int
        Width of a weight, 2 to 8.
    options : TrainingOptions
        How to train.
    checkpoint_path : path-like, optional
        Where to write the result; export it with the same number of bits.
    on_progress : callable, optional
        Called after each step and each epoch.

    Returns
    -------
    model : SpikeDrivenTransformer
        Folded and fine-tuned, in eval mode. Its weights are averages over the last epochs, rounded:
        the exporter finds them as they are.
    result : TrainingResult
        History; accuracies are those with rounded weights, the last one that of the result.

    Raises
    ------
    QuantizationError, DataError, ConfigError, CheckpointError
        As :func:`sdt_lava.quantize.post_training.quantize` and
        :func:`sdt_lava.model.training.train`.
    """
    train_data, test_data = as_dataset(train_data), as_dataset(test_data)
    folded = fold_model(model)
    rounding, average = _Rounding(folded, bits), _Average(folded)

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
    # The weights are rounded for these input levels.
    folded.assumes_levels = False
    assert test_data.y is not None
    final = replace(history[-1], test_accuracy=accuracy(folded, test_data.x, test_data.y))
    if checkpoint_path is not None:
        save_checkpoint(checkpoint_path, folded)
    return folded.eval(), TrainingResult((*history[:-1], final))


def convert_pooling(model: SpikeDrivenTransformer, downsampling: str) -> SpikeDrivenTransformer:
    """Return the same weights in a network that halves its image in another way.

    Spikes change: fine-tune afterwards.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        Such as an imported one, with ``downsampling='max'``.
    downsampling : {'or', 'stride'}
        What Loihi 2 can do.

    Raises
    ------
    ConfigError
        If the kind does not exist.
    """
    if downsampling not in DOWNSAMPLINGS:
        raise ConfigError("--pooling", repr(downsampling), f"one of {DOWNSAMPLINGS}")
    converted = SpikeDrivenTransformer(replace(model.config, downsampling=downsampling))
    converted.load_state_dict(model.state_dict())
    converted.assumes_levels = model.assumes_levels
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
