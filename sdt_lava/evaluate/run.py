"""Evaluating a network on a data set, shard by shard."""

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
    """How to evaluate.

    Parameters
    ----------
    backend : str
        Back end that runs the samples.
    part : {'test', 'train'}
        Part of the data set.
    source : SourceOptions
        Where the data set is, and how its samples are made.
    indices : str, optional
        Samples by number, such as ``'0-99,250'``.
    shuffle_seed : int, optional
        Shuffle the samples with this seed.
    limit : int, optional
        Evaluate this many.
    on_bad : {'stop', 'skip'}
        What to do with samples that cannot be read.
    shard_size : int
        Samples that are evaluated, and stored, together.
    resume : bool
        Continue an evaluation that was interrupted.
    memory : int or str, optional
        'engine': what a batch's arrays may take, such as ``'4GiB'``.
    device : str, optional
        'engine': 'cpu' or 'cuda'.
    models : tuple of EnergyModel
        Costs.
    timesteps, input_shape, num_layers, skip_layers
        Of SLAYER's network files, which may not say it; as in
        :func:`sdt_lava.io.netx.load_network`.
    limits : Limits
        How much is read; for the workers of a cluster, which do not know those that apply here.
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
        kept = ("timesteps", "binning", "image_size")
        network = {
            "network_timesteps": self.timesteps,
            "network_input": self.input_shape,
            "network_layers": self.num_layers,
            "network_skips": self.skip_layers or None,
        }
        return {
            "backend": self.backend,
            "part": self.part,
            **{key: source[key] for key in kept},
            **{key: value for key, value in network.items() if value is not None},
        }


class Executor(Protocol):
    """Something that evaluates shards, in any order, each exactly once."""

    def map(self, shards: Sequence[Shard]) -> Iterator[list[SampleResult]]:
        """Yield the results of each shard as it is ready."""
        ...


MakeExecutor = Callable[[bytes, SampleSource, str, EvaluationOptions], Executor]


@dataclass(frozen=True, eq=False)
class InProcess:
    """Evaluates shards one after the other, here."""

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
    """Return the data set in the shape that the network takes."""
    if not isinstance(data, str | os.PathLike):
        return as_source(data)
    trained = trained_on(net) or None
    fitting = fitting_options(data, net.input_shape, net.timesteps, options.source, trained)
    return open_source(data, options.part, fitting)


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

    Results go to ``results.sqlite`` shard by shard, so that a run that is killed at any moment
    can be resumed; at the end ``results.json`` and ``predictions.csv`` are written.

    Parameters
    ----------
    network : path
        Network file.
    data : str, Dataset, SampleSource or torch Dataset
        A data set by name or path, or one that is open already (in this process only).
    folder : path
        Where results go; made if it does not exist.
    options : EvaluationOptions, optional
        How to evaluate.
    executor : callable, optional
        Makes what evaluates the shards from the network file's content, the opened data, its name
        and the options; in this process by default.
    on_progress : callable, optional
        Called with samples done and in all.

    Returns
    -------
    Evaluation
        The same as that of any other run of the same network, data and options.

    Raises
    ------
    ConfigError
        If the folder holds an evaluation of something else.
    DataError
        If the data cannot be opened, or a sample cannot be read and ``on_bad`` is 'stop'.
    OutputError
        If results cannot be stored, would replace what is read, or are there and ``resume`` is
        not set.
    """
    chosen = options or EvaluationOptions()
    check_folder(folder)
    reads = [Place("network", str(network))]
    if isinstance(data, str | os.PathLike):
        data = os.fspath(data)
        reads += [Place("data", str(path)) for path in data_places(data, chosen.source.root)]
    check_separate(reads, [Place("folder", str(folder), inside=EVALUATION_FILES)])
    net, content = load_with_content(
        network, chosen.timesteps, chosen.input_shape, chosen.num_layers, chosen.skip_layers
    )
    source = open_data(net, data, chosen)
    indices = select(
        len(source),
        indices=chosen.indices,
        shuffle_seed=chosen.shuffle_seed,
        limit=chosen.limit,
    )
    check_classes(net, _labels(source, indices), source.name)
    who = identity(content, source, indices, chosen.changing_results())
    data_before = who["data"]
    make_folder(folder)
    with ResultStore(folder / DATABASE, who, resume=chosen.resume) as store:
        done = store.done()
        left = [index for index in indices if index not in done]
        if executor is None:
            work: Executor = InProcess(net, source, chosen)
        elif isinstance(data, str):
            work = executor(content, source, data, chosen)
        else:
            found = f"{type(data).__name__} on several processes"
            raise ConfigError("data", found, "a name or a path, which every worker can open")
        finished = len(indices) - len(left)
        for results in work.map(shards(left, chosen.shard_size)):
            _check(results, chosen.on_bad)
            store.add(results)
            finished += len(results)
            if on_progress is not None:
                on_progress(finished, len(indices))
        _check_unchanged(source, data_before)
        evaluation = Evaluation(tuple(store.results()), chosen.models, who)
    evaluation.write(folder)
    return evaluation


def _check_unchanged(source: SampleSource, before: str) -> None:
    """Check that the files of a data set are still those with which the evaluation began."""
    if not isinstance(source, MemorySource) and data_digest(source) != before:
        raise DataError(
            source.name,
            "files that have changed since the evaluation began",
            "the same files from beginning to end",
            "evaluate again into another --out, with files that nobody writes",
        )


def _labels(source: SampleSource, indices: Sequence[int]) -> IntArray | None:
    """Return the labels of some samples, where they are known before the samples are read."""
    labels = source.data.y if isinstance(source, MemorySource) else getattr(source, "labels", None)
    return None if labels is None else np.asarray(labels, np.int64)[list(indices)]


def _check(results: Sequence[SampleResult], on_bad: str) -> None:
    """Stop at the first sample that cannot be read, unless such samples are to be skipped."""
    for row in results:
        if row.error and on_bad == "stop":
            raise DataError(
                f"sample {row.index}",
                row.error,
                "samples that can be read",
                "repair it, leave it out with --indices, or list and skip such samples with "
                "--on-bad skip",
            )
