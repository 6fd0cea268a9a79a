"""Evaluate a network on a data set, shard by shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sdt_lava.datasets import (
    MemorySource,
    SampleSource,
    SourceOptions,
    data_places,
    fitting_options,
    open_source,
    trained_on,
)
from sdt_lava.datasets.base import Dataset, IntArray
from sdt_lava.datasets.labels import check_classes
from sdt_lava.datasets.objects import as_source
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.evaluate.identity import data_digest, identity
from sdt_lava.evaluate.sample import SampleResult, evaluate_samples
from sdt_lava.evaluate.selection import select, shards
from sdt_lava.evaluate.store import ResultStore
from sdt_lava.evaluate.summary import Evaluation
from sdt_lava.io.files import check_folder, make_folder
from sdt_lava.io.limits import Limits, limits
from sdt_lava.io.netx.reader import load_with_content
from sdt_lava.io.output_files import EVALUATION_FILES
from sdt_lava.io.same_files import Place, check_separate
from sdt_lava.ir import Graph, Shape
from sdt_lava.report.energy_model import ENERGY_MODELS, EnergyModel, load_energy_model

DATABASE = "results.sqlite"
ON_BAD = ("stop", "skip")
Shard = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of an evaluation.

    Parameters
    ----------
    backend : str
        Back end that runs the samples.
    part : {'test', 'train'}
        Part of the data set.
    source : SourceOptions
        Location of the data set, and options for making samples.
    indices : str, optional
        Indices of the samples, such as ``'0-99,250'``; by default all.
    shuffle_seed : int, optional
        Shuffle the samples with this seed.
    limit : int, optional
        Number of samples to evaluate, from the start; by default all.
    on_bad : {'stop', 'skip'}
        Whether to stop at samples that cannot be read, or to skip them.
    shard_size : int
        Number of samples that are evaluated and stored together.
    resume : bool
        Continue an interrupted evaluation.
    memory : int or str, optional
        'engine': memory limit for the arrays of a batch, such as ``'4GiB'``.
    device : str, optional
        'engine': 'cpu' or 'cuda'.
    models : tuple of EnergyModel
        Energy models that give the costs.
    timesteps, input_shape, num_layers, skip_layers
        For SLAYER's network files, which may not define them; as in
        :func:`sdt_lava.io.netx.load_network`.
    limits : Limits
        Limits on the data that is read, passed on to the workers of a cluster.
    """

    backend: str = "engine"
    part: str = "test"
    source: SourceOptions = field(default_factory=SourceOptions)
    indices: str | None = None
    shuffle_seed: int | None = None
    limit: int | None = None
    on_bad: str = "stop"
    shard_size: int = 16
    resume: bool = False
    memory: int | str | None = None
    device: str | None = None
    models: tuple[EnergyModel, ...] = field(
        default_factory=lambda: tuple(load_energy_model(name) for name in ENERGY_MODELS)
    )
    timesteps: int | None = None
    input_shape: Shape | None = None
    num_layers: int | None = None
    skip_layers: int = 0
    limits: Limits = field(default_factory=limits)

    def __post_init__(self) -> None:
        if self.on_bad not in ON_BAD:
            raise ConfigError("on_bad", repr(self.on_bad), f"one of {ON_BAD}")
        if self.shard_size < 1:
            raise ConfigError("shard_size", str(self.shard_size), "at least 1")

    def how_to_run(self) -> dict[str, Any]:
        """Return the arguments of :func:`~sdt_lava.backends.run.simulate`."""
        return {"backend": self.backend, "memory": self.memory, "device": self.device}

    def changing_results(self) -> dict[str, object]:
        """Return the options that change results, for the identity of the evaluation."""
        source = asdict(self.source)
        source_fields = ("timesteps", "binning", "image_size")
        network = {
            "network_timesteps": self.timesteps,
            "network_input": self.input_shape,
            "network_layers": self.num_layers,
            "network_skips": self.skip_layers or None,
        }
        return {
            "backend": self.backend,
            "part": self.part,
            **{key: source[key] for key in source_fields},
            **{key: value for key, value in network.items() if value is not None},
        }


class Executor(Protocol):
    """Evaluates shards, each exactly once and in any order."""

    def map(self, shards: Sequence[Shard]) -> Iterator[list[SampleResult]]:
        """Yield the results of each shard as soon as they are ready."""
        ...


MakeExecutor = Callable[[bytes, SampleSource, str, EvaluationOptions], Executor]


@dataclass(frozen=True, eq=False)
class InProcess:
    """Evaluates shards one after the other in this process."""

    net: Graph
    source: SampleSource
    options: EvaluationOptions

    def map(self, shards: Sequence[Shard]) -> Iterator[list[SampleResult]]:
        """Yield the results of each shard in order."""
        for shard in shards:
            yield evaluate_samples(self.net, self.source, shard, **self.options.how_to_run())


def open_data(
    net: Graph, data: str | Dataset | SampleSource, options: EvaluationOptions
) -> SampleSource:
    """Open a data set with options that fit the network's input."""
    if not isinstance(data, str | os.PathLike):
        return as_source(data)
    training_dataset = trained_on(net) or None
    source_options = fitting_options(
        data, net.input_shape, net.timesteps, options.source, training_dataset
    )
    return open_source(data, options.part, source_options)


def evaluate(
    network: Path,
    data: str | Dataset | SampleSource,
    folder: Path,
    options: EvaluationOptions | None = None,
    *,
    executor: MakeExecutor | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate a network on a data set.

    Results are stored in ``results.sqlite`` shard by shard, so that a run that is killed at any
    time can be resumed; at the end, ``results.json`` and ``predictions.csv`` are written.

    Parameters
    ----------
    network : path
        Network file.
    data : str, Dataset, SampleSource or torch Dataset
        Name or path of a data set, or an open data set (in this process only).
    folder : path
        Folder for the results; created if it does not exist.
    options : EvaluationOptions, optional
        Options of the evaluation.
    executor : callable, optional
        Creates an `Executor` from the content of the network file, the open data set, its name and
        the options; by default, shards are evaluated in this process.
    on_progress : callable, optional
        Called with the number of finished samples and the total number.

    Returns
    -------
    Evaluation
        Equal to that of any other run with the same network, data and options.

    Raises
    ------
    ConfigError
        If the folder contains an evaluation with another identity.
    DataError
        If the data cannot be opened, or a sample cannot be read and ``on_bad`` is 'stop'.
    OutputError
        If results cannot be stored, would replace an input, or already exist and ``resume`` is
        not set.
    """
    settings = options or EvaluationOptions()
    check_folder(folder)
    inputs = [Place("network", str(network))]
    if isinstance(data, str | os.PathLike):
        data = os.fspath(data)
        inputs += [Place("data", str(path)) for path in data_places(data, settings.source.root)]
    check_separate(inputs, [Place("folder", str(folder), inside=EVALUATION_FILES)])
    net, content = load_with_content(
        network, settings.timesteps, settings.input_shape, settings.num_layers, settings.skip_layers
    )
    source = open_data(net, data, settings)
    indices = select(
        len(source),
        indices=settings.indices,
        shuffle_seed=settings.shuffle_seed,
        limit=settings.limit,
    )
    check_classes(net, _labels(source, indices), source.name)
    run_identity = identity(content, source, indices, settings.changing_results())
    data_before = run_identity["data"]
    make_folder(folder)
    with ResultStore(folder / DATABASE, run_identity, resume=settings.resume) as store:
        finished_indices = store.done()
        remaining = [index for index in indices if index not in finished_indices]
        if executor is None:
            shard_executor: Executor = InProcess(net, source, settings)
        elif isinstance(data, str):
            shard_executor = executor(content, source, data, settings)
        else:
            problem = f"{type(data).__name__} on several processes"
            raise ConfigError("data", problem, "a name or a path, which every worker can open")
        finished_count = len(indices) - len(remaining)
        for results in shard_executor.map(shards(remaining, settings.shard_size)):
            _check(results, settings.on_bad)
            store.add(results)
            finished_count += len(results)
            if on_progress is not None:
                on_progress(finished_count, len(indices))
        _check_unchanged(source, data_before)
        evaluation = Evaluation(tuple(store.results()), settings.models, run_identity)
    evaluation.write(folder)
    return evaluation


def _check_unchanged(source: SampleSource, before: str) -> None:
    """Check that the files of a data set have not changed since the start of the evaluation."""
    if not isinstance(source, MemorySource) and data_digest(source) != before:
        raise DataError(
            source.name,
            "files that have changed since the evaluation began",
            "the same files from beginning to end",
            "evaluate again into another --out, with files that no other program is writing",
        )


def _labels(source: SampleSource, indices: Sequence[int]) -> IntArray | None:
    """Return the labels of samples if they are known before reading the samples, else None."""
    labels = source.data.y if isinstance(source, MemorySource) else getattr(source, "labels", None)
    return None if labels is None else np.asarray(labels, np.int64)[list(indices)]


def _check(results: Sequence[SampleResult], on_bad: str) -> None:
    """Raise `DataError` for the first sample that cannot be read, unless these are skipped."""
    for row in results:
        if row.error and on_bad == "stop":
            raise DataError(
                f"sample {row.index}",
                row.error,
                "samples that can be read",
                "repair it, leave it out with --indices, or list and skip such samples with "
                "--on-bad skip",
            )
