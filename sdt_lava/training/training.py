"""Train with surrogate gradients: AdamW, one learning-rate cycle, exact resumption."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from sdt_lava.datasets.base import Dataset
from sdt_lava.datasets.labels import check_labels
from sdt_lava.datasets.objects import as_dataset
from sdt_lava.datasets.source import SampleSource
from sdt_lava.errors import CheckpointError, ConfigError, DataError
from sdt_lava.families.configuration import to_plain
from sdt_lava.families.model import FamilyModel
from sdt_lava.families.own import save_checkpoint
from sdt_lava.io.checkpoint.archive import is_exactly, read_archive, write_archive
from sdt_lava.support.torch_state import evaluating, modes_of, torch_threads
from sdt_lava.training.augment import shift_randomly

logger = logging.getLogger(__name__)

RESUME_FORMAT = "sdt-lava-training"
RESUME_VERSION = 1
# Fraction of the steps during which the learning rate rises.
_WARM_UP = 0.2
_EVALUATION_BATCH = 256
# All mutable state of a OneCycleLR; the rest follows from the options, and some of it is code.
_SCHEDULER_STATE = ("last_epoch", "_step_count", "_last_lr")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of a training; the defaults suit the preset 'digits'.

    Parameters
    ----------
    epochs : int
        Passes over the training data.
    batch_size : int
        Samples per step.
    learning_rate : float
        Peak of the one-cycle schedule.
    weight_decay : float
        AdamW's decoupled weight decay.
    label_smoothing : float
        Fraction of the target that is spread over all classes, in [0, 1).
    gradient_clip : float
        Largest norm of the gradient.
    max_shift : int
        Each sample is shifted by up to this many pixels in each direction and filled with zeros.
    seed : int
        Seed of the order of samples and of the shifts.
    threads : int
        Torch threads during training. More threads change the rounding of sums, and hence the
        result, and gain little on networks as small as the presets for CPUs.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    epochs: int = 18
    batch_size: int = 64
    learning_rate: float = 6e-3
    weight_decay: float = 5e-2
    label_smoothing: float = 0.05
    gradient_clip: float = 1.0
    max_shift: int = 0
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "gradient_clip", "threads"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"options.{name}", str(getattr(self, name)), "above 0")
        for name in ("weight_decay", "max_shift", "seed"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"options.{name}", str(getattr(self, name)), "0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError("options.label_smoothing", str(self.label_smoothing), "0 to 1")


@dataclass(frozen=True)
class EpochRecord:
    """Results of one epoch: mean loss, accuracies in [0, 1], last learning rate, time [s]."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Progress of a training, reported after every step and every epoch.

    ``finished_epoch`` is set only in the report at the end of an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    finished_epoch: EpochRecord | None = None


@dataclass(frozen=True)
class TrainingResult:
    """History of a training, with one entry per epoch."""

    history: tuple[EpochRecord, ...]

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test data after the last epoch."""
        return self.history[-1].test_accuracy


def accuracy(
    model: FamilyModel,
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    batch_size: int = _EVALUATION_BATCH,
) -> float:
    """Return the fraction of samples whose largest logit is that of their label.

    The model is put in eval mode during the evaluation and restored afterwards.
    """
    inputs, labels = torch.as_tensor(x), torch.as_tensor(y)
    correct = 0
    with evaluating(model):
        for start in range(0, len(inputs), batch_size):
            logits = model(inputs[start : start + batch_size])
            correct += int((logits.argmax(1) == labels[start : start + batch_size]).sum())
    return correct / len(inputs)


def train(
    model: FamilyModel,
    train_data: Dataset | SampleSource,
    test_data: Dataset | SampleSource,
    options: TrainingOptions,
    *,
    resume_from: str | os.PathLike[str] | None = None,
    checkpoint_path: str | os.PathLike[str] | None = None,
    tensorboard_dir: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train a network in place and leave it in eval mode.

    After each epoch, the whole state is written to ``<checkpoint_path>.resume``. A training that
    continues from this file ends with the same bits as one that was never interrupted (on the same
    machine, with the same number of threads). The file is removed when the checkpoint is written.

    Parameters
    ----------
    model : FamilyModel
        The network with its initial weights.
    train_data, test_data : Dataset, SampleSource or torch Dataset
        Labelled data with inputs that fit the network, held in memory.
    options : TrainingOptions
        Options of the training.
    resume_from : path-like, optional
        The ``.resume`` file of an interrupted training with the same options.
    checkpoint_path : path-like, optional
        File for the trained network.
    tensorboard_dir : path-like, optional
        Folder for TensorBoard's event files.
    on_progress : callable, optional
        Called after each step and each epoch.

    Raises
    ------
    DataError
        If labels are missing or do not fit the network.
    ConfigError
        If the loss is no longer finite, or TensorBoard is requested but not installed.
    CheckpointError
        If a file cannot be written, or the state to resume belongs to another training.
    """
    data = _labelled(as_dataset(train_data), model)
    test = _labelled(as_dataset(test_data), model)
    resume_path = None if checkpoint_path is None else Path(f"{checkpoint_path}.resume")
    with (
        _modes_as_before(model),
        torch_threads(options.threads),
        _event_writer(tensorboard_dir) as write_events,
    ):
        run = _Run(model, data, options)
        if resume_from is not None:
            run.restore(resume_from)
        while len(run.history) < options.epochs:
            record = run.epoch(test, on_progress)
            write_events(record)
            if resume_path is not None:
                write_archive(resume_path, run.state())
    model.eval()
    if checkpoint_path is not None and resume_path is not None:
        save_checkpoint(checkpoint_path, model)
        resume_path.unlink(missing_ok=True)
    return TrainingResult(tuple(run.history))


@contextmanager
def _modes_as_before(model: FamilyModel) -> Iterator[None]:
    """Restore the modes of a model if its training fails."""
    put_back = modes_of(model)
    try:
        yield
    except BaseException:
        put_back()
        raise


Samples = tuple[Tensor, Tensor]


class _Run:
    """The mutable state of one training, which a resume file stores."""

    def __init__(self, model: FamilyModel, data: Samples, options: TrainingOptions) -> None:
        self.model = model
        self.data = data
        self.options = options
        self.history: list[EpochRecord] = []
        self.steps = -(-len(data[0]) // options.batch_size)
        # A separate generator, so that other random draws cannot affect the training.
        self.generator = torch.Generator().manual_seed(options.seed)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(
            weights, lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            options.learning_rate,
            total_steps=self.steps * options.epochs,
            pct_start=_WARM_UP,
        )

    def epoch(self, test: Samples, on_progress: Callable[[Progress], None] | None) -> EpochRecord:
        """Train for one epoch, evaluate, and add the results to the history."""
        start_time = time.perf_counter()
        self.model.train()
        order = torch.randperm(len(self.data[0]), generator=self.generator)
        total, correct, number = 0.0, 0, len(self.history) + 1
        for step, indices in enumerate(order.split(self.options.batch_size), start=1):
            loss, hits = self._step(indices)
            total += loss * len(indices)
            correct += hits
            if on_progress is not None:
                on_progress(Progress(number, self.options.epochs, step, self.steps, loss))
        record = EpochRecord(
            epoch=number,
            loss=total / len(order),
            train_accuracy=correct / len(order),
            test_accuracy=accuracy(self.model, *test),
            learning_rate=float(self.scheduler.get_last_lr()[0]),
            seconds=time.perf_counter() - start_time,
        )
        self.history.append(record)
        logger.info("epoch %d: loss %.4f, test %.4f", number, record.loss, record.test_accuracy)
        if on_progress is not None:
            progress = Progress(number, self.options.epochs, self.steps, self.steps, record.loss)
            on_progress(replace(progress, finished_epoch=record))
        return record

    def _step(self, chosen: Tensor) -> tuple[float, int]:
        """Take one optimizer step; return the loss and the number of correct samples."""
        x, y = self.data[0][chosen], self.data[1][chosen]
        logits = self.model(shift_randomly(x, self.options.max_shift, self.generator))
        loss = functional.cross_entropy(logits, y, label_smoothing=self.options.label_smoothing)
        if not torch.isfinite(loss):
            raise ConfigError(
                "options.learning_rate",
                f"the loss became {loss.item()} in epoch {len(self.history) + 1}",
                "a finite loss",
                "lower the learning rate, or check the scale of the input",
            )
        self.optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(self.optimizer.param_groups[0]["params"], self.options.gradient_clip)
        self.optimizer.step()
        self.scheduler.step()
        return loss.item(), int((logits.argmax(1) == y).sum())

    def state(self) -> dict[str, Any]:
        """Return everything on which the next epoch depends, as plain types and tensors."""
        return {
            "format": RESUME_FORMAT,
            "version": RESUME_VERSION,
            "identity": self._identity(),
            "history": [asdict(record) for record in self.history],
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": {name: getattr(self.scheduler, name) for name in _SCHEDULER_STATE},
            "generator": self.generator.get_state(),
        }

    def _identity(self) -> dict[str, Any]:
        """Return the properties that all parts of one training share."""
        options = asdict(self.options)
        del options["threads"]
        config = to_plain(self.model.config)
        return {"options": options, "config": config, "samples": len(self.data[0])}

    def _continues(self, state: dict[str, Any]) -> bool:
        try:
            same = bool(state.get("identity") == self._identity())
            return same and is_exactly(state.get("version"), RESUME_VERSION)
        except RuntimeError:  # a tensor instead of a number has no truth value
            return False

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from the state in a file."""
        where = str(path)
        state = read_archive(path)
        if not isinstance(state, dict) or not is_exactly(state.get("format"), RESUME_FORMAT):
            raise CheckpointError(
                where, "not the state of a training", remedy="pass the .resume file"
            )
        if not self._continues(state):
            raise CheckpointError(
                where,
                "the state of a training with other options, data or network",
                "the options of the interrupted training",
                "repeat the command that was interrupted, or start anew",
            )
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            self.generator.set_state(state["generator"])
            self.history = [EpochRecord(**record) for record in state["history"]]
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(where, f"damaged ({str(error)[:200]})") from error


def _labelled(data: Dataset, model: FamilyModel) -> Samples:
    if data.y is None:
        raise DataError(data.name, "no labels", "labels 'y' for every sample")
    check_labels(data.y, model.config.num_classes, f"{data.name}: y")
    return torch.from_numpy(data.x), torch.from_numpy(data.y)


@contextmanager
def _event_writer(
    folder: str | os.PathLike[str] | None,
) -> Iterator[Callable[[EpochRecord], None]]:
    """Yield a function that writes an epoch to TensorBoard, or does nothing."""
    if folder is None:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "tensorboard", "not installed", remedy="pip install 'sdt-lava[tensorboard]'"
        ) from error
    with SummaryWriter(str(folder)) as writer:

        def write(record: EpochRecord) -> None:
            for name in ("loss", "train_accuracy", "test_accuracy", "learning_rate"):
                writer.add_scalar(name, getattr(record, name), record.epoch)

        yield write
