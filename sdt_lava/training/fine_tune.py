"""Quantization-aware fine-tuning: train on with the weights that will be exported.

It starts from the folded model: batch normalisation has become weights and biases. In the forward
pass every layer uses its weights rounded as the exporter would round them now; gradients pass
straight through the rounding. Scales follow the weights once an epoch. Rounding makes accuracy
jump from step to step, so the result is a moving average of the weights over the last epochs;
rounded, it is what the exporter finds, and the accuracy is that of the exported network.
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

from sdt_lava.backends.run import simulate
from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.objects import as_dataset
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import ConfigError
from sdt_lava.families.blocks.layers import Norm
from sdt_lava.families.own import save_checkpoint
from sdt_lava.families.sdt1.config import DOWNSAMPLINGS
from sdt_lava.families.sdt1.trace import trace
from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer
from sdt_lava.ir import Conv, Graph
from sdt_lava.quantize.calibration import calibration_data, with_levels_of
from sdt_lava.quantize.export import to_network
from sdt_lava.quantize.first_layer import event_unit
from sdt_lava.quantize.post_training import quantize
from sdt_lava.quantize.weight_format import WeightFormat
from sdt_lava.training.training import Progress, TrainingOptions, TrainingResult, train

# Suits a network that is nearly right already; a full training starts from 6e-3.
FINE_TUNE_OPTIONS = TrainingOptions(epochs=6, learning_rate=1e-3, weight_decay=1e-4)
# With rounded weights: further to go, and what larger steps do is averaged out.
ROUNDED_OPTIONS = replace(FINE_TUNE_OPTIONS, epochs=10, learning_rate=2e-3)
# Epochs over which weights are averaged: 1 / e of the average is older.
_AVERAGED_EPOCHS = 2
_TEST_BATCH = 256


class FoldedNorm(Norm):
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
            synapse.weight.copy_(torch.tensor(node.weight)[..., None])
        assert node.bias is not None
        bias = torch.tensor(node.bias).float()
        folded.get_submodule(prefix).add_module(
            norm_name.rpartition(".")[2], FoldedNorm(bias, norm.eps)
        )
    return folded


class _Rounding:
    """The rounding of every layer of a model, kept in step with what the exporter would do."""

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
        """Take over the scales that the exporter would choose for the weights as they are."""
        weights = self.weights
        graph, report = quantize(trace(self.model), weights.bits, first_layer=weights.first_layer)
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
    # Synapses apply this to their weights whenever they are used, SLAYER's as well.
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
    first_layer: str = "full",
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
    first_layer : {'full', 'fitted'}
        Weights of layers that read an image or counts, as :func:`sdt_lava.export` takes it.
    checkpoint_path : path-like, optional
        Where to write the result; export it with the same number of bits and the same
        ``first_layer``.
    on_progress : callable, optional
        Called after each step and each epoch.

    Returns
    -------
    model : SpikeDrivenTransformer
        Folded and fine-tuned, in eval mode. Its weights are averages over the last epochs, rounded:
        the exporter finds them as they are. Input levels that were only assumed are those of the
        training data.
    result : TrainingResult
        History; accuracies are those with rounded weights, the last one is that of the integer
        network that the exporter makes of the result.

    Raises
    ------
    QuantizationError, DataError, ConfigError, CheckpointError
        As :func:`sdt_lava.quantize.post_training.quantize` and
        :func:`sdt_lava.training.training.train`.
    """
    train_data, test_data = as_dataset(train_data), as_dataset(test_data)
    model = with_levels_of(model, train_data.x, f"the training samples of {train_data.name}")
    folded = fold_model(model)
    rounding, average = _Rounding(folded, bits, first_layer), _Average(folded)
    # Before the training: data that cannot be had should not cost one.
    measured = calibration_data(None, folded.config)

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
    net, _ = to_network(folded, bits, measured, first_layer=first_layer)
    final = replace(history[-1], test_accuracy=_accuracy(net, test_data))
    if checkpoint_path is not None:
        save_checkpoint(checkpoint_path, folded)
    return folded.eval(), TrainingResult((*history[:-1], final))


def _accuracy(net: Graph, data: Dataset) -> float:
    """Return the accuracy of an integer network; sums that overflow wrap, as on Lava."""
    assert data.y is not None
    correct = 0
    for start in range(0, len(data.x), _TEST_BATCH):
        part = slice(start, start + _TEST_BATCH)
        labels = simulate(net, data.x[part], strict=False).labels
        correct += int((labels == data.y[part]).sum())
    return correct / len(data.x)


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
