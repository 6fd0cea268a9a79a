"""Export, evaluate and count every combination of a sweep."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.result import Result
from sdt_lava.backends.run import simulate
from sdt_lava.compiler.choose import AUTO
from sdt_lava.compiler.columns import WAYS
from sdt_lava.compiler.cost import LoweringCounts, count_lowering
from sdt_lava.compiler.lowering import lower
from sdt_lava.compiler.streams import RELAY, UNROLLED
from sdt_lava.datasets import data_places
from sdt_lava.errors import CompileError, ConfigError, DataError, GraphError
from sdt_lava.evaluate.identity import check_same
from sdt_lava.evaluate.run import EvaluationOptions, MakeExecutor, evaluate, open_data
from sdt_lava.evaluate.summary import Evaluation
from sdt_lava.evaluate.sweep.row import SweepRow
from sdt_lava.evaluate.sweep.table import Sweep
from sdt_lava.io.files import OutputError, check_folder, make_folder, open_regular, write_json
from sdt_lava.io.json_text import parse_json
from sdt_lava.io.netx import load_network
from sdt_lava.io.output_files import SWEEP_FILES
from sdt_lava.io.same_files import Place, check_separate
from sdt_lava.ir import Graph
from sdt_lava.report.energy_table import energy

if TYPE_CHECKING:
    from sdt_lava.families.model import FamilyModel
    from sdt_lava.quantize.samples import CalibrationData

SHORTCUTS = (RELAY, UNROLLED, AUTO)
SDSA = (*WAYS, AUTO)
_IDENTITY = "identity.json"


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """The combinations of a sweep, and options for the evaluation of each network.

    Parameters
    ----------
    bits : tuple of int
        Widths of the weights.
    shortcuts, sdsa : tuple of str
        Lowerings of shortcuts and SDSA. They do not change spikes, so accuracy is measured once
        per width, but operations are counted for each lowering.
    counted_samples : int
        Number of samples, from the start, on which operations are counted.
    evaluation : EvaluationOptions
        Data and energy models; with ``resume``, an earlier sweep is continued.

    Raises
    ------
    ConfigError
        If a value is invalid or listed twice.
    """

    bits: tuple[int, ...] = (8, 6, 4)
    shortcuts: tuple[str, ...] = (RELAY, UNROLLED)
    sdsa: tuple[str, ...] = (WAYS[0],)
    counted_samples: int = 64
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def __post_init__(self) -> None:
        _check_list("--bits", self.bits, range(2, 9))
        _check_list("--shortcut", self.shortcuts, SHORTCUTS)
        _check_list("--sdsa", self.sdsa, SDSA)
        if self.counted_samples < 1:
            raise ConfigError("counted_samples", str(self.counted_samples), "at least 1")


def _check_list(option: str, values: tuple[Any, ...], allowed: Any) -> None:
    invalid = [value for value in values if value not in allowed]
    if invalid or not values:
        raise ConfigError(option, repr(invalid[0]) if invalid else "nothing", f"{tuple(allowed)}")
    if len(set(values)) != len(values):
        raise ConfigError(option, "a value that is there twice", "each value once")


def sweep(
    model: FamilyModel,
    data: str,
    folder: Path,
    options: SweepOptions | None = None,
    *,
    calibration: CalibrationData | None = None,
    executor: MakeExecutor | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Export a model with several weight widths, evaluate each, and count operations per lowering.

    Finished results stay in the folder, so that a sweep can be resumed, even with additional widths
    and lowerings. At the end, ``sweep.json``, ``sweep.csv`` and figures are written.

    Parameters
    ----------
    model : FamilyModel
        Trained model.
    data : str
        Data set by name, or an ``.npz`` file.
    folder : path
        Folder for all output; created if it does not exist.
    options : SweepOptions, optional
        Options of the sweep.
    calibration : CalibrationData, optional
        As in :func:`sdt_lava.export`.
    executor : callable, optional
        As in :func:`sdt_lava.evaluate.evaluate`.
    on_progress : callable, optional
        Called with the number of evaluated samples and the total number, over all widths.

    Returns
    -------
    Sweep
        One row for each width and lowering that the network supports.

    Raises
    ------
    ConfigError
        If the folder contains a sweep with another identity.
    DataError, OutputError
        As in :func:`sdt_lava.evaluate.evaluate`.
    GraphError
        If a lowering changes the predictions of the network, which is a bug.
    """
    settings = options or SweepOptions()
    check_folder(folder)
    inputs = [
        Place("data", str(path)) for path in data_places(data, settings.evaluation.source.root)
    ]
    check_separate(inputs, [Place("folder", str(folder), inside=SWEEP_FILES)])
    sweep_identity = _identity(model, calibration, settings.evaluation)
    _claim(folder, sweep_identity, resume=settings.evaluation.resume)
    rows: list[SweepRow] = []
    refusals: list[Mapping[str, Any]] = []
    samples = 0
    for position, bits in enumerate(settings.bits):
        bits_folder = make_folder(folder / f"{bits}-bit")
        network = _exported(model, bits, calibration, bits_folder)
        report = _shifted(on_progress, position, len(settings.bits))
        resume_options = replace(settings.evaluation, resume=True)
        evaluation = evaluate(
            network, data, bits_folder, resume_options, executor=executor, on_progress=report
        )
        samples = len(evaluation.good)
        counter = _Counter(network, data, bits, evaluation, settings)
        for shortcut, sdsa in product(settings.shortcuts, settings.sdsa):
            try:
                rows.append(counter.row(shortcut, sdsa))
            except CompileError as error:
                lowering = {"bits": bits, "shortcut": shortcut, "sdsa": sdsa}
                refusals.append({**lowering, "reason": str(error)})
    counted_samples = min(settings.counted_samples, samples)
    result = Sweep(tuple(rows), samples, counted_samples, sweep_identity, tuple(refusals))
    result.write(folder)
    return result


def _identity(
    model: FamilyModel,
    calibration: CalibrationData | None,
    evaluation: EvaluationOptions,
) -> dict[str, str]:
    """Return the identity of a sweep, without widths and lowerings, which may be added to it."""
    weights = hashlib.sha256(repr(model.config).encode())
    for name, tensor in sorted(model.state_dict().items()):
        weights.update(name.encode())
        weights.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    calibration_digest = "none"
    if calibration is not None:
        values = np.ascontiguousarray(calibration.x)
        method = "chosen" if calibration.choose else "measured"
        calibration_digest = f"{method} {hashlib.sha256(values.tobytes()).hexdigest()}"
    return {
        "model": weights.hexdigest(),
        "calibration": calibration_digest,
        "options": json.dumps(evaluation.changing_results(), sort_keys=True),
    }


def _claim(folder: Path, who: Mapping[str, str], *, resume: bool) -> None:
    path = make_folder(folder) / _IDENTITY
    if not path.exists():
        write_json(path, dict(who))
        return
    if not resume:
        raise OutputError(
            str(path), "an earlier sweep", "a folder without one",
            "add --resume to continue it, or choose another --out",
        )  # fmt: skip
    check_same(path, _read(path), who)


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path, OutputError) as file:
            content = parse_json(file.read())
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(str(path), f"damaged ({error})", "a file of sdt-lava sweep") from error
    return content if isinstance(content, dict) else {}


def _exported(
    model: FamilyModel, bits: int, calibration: CalibrationData | None, place: Path
) -> Path:
    """Return the network file of a width, and export it unless it exists."""
    from sdt_lava.quantize.export import export

    path = place / "net.h5"
    if not path.exists():
        export(model, path, bits, calibration)
    return path


def _shifted(
    report: Callable[[int, int], None] | None, position: int, count: int
) -> Callable[[int, int], None] | None:
    if report is None:
        return None
    return lambda done, total: report(position * total + done, count * total)


def _size(graph: Graph) -> LoweringCounts:
    return count_lowering(graph, dict.fromkeys(graph.nodes, 0.0))


class _Counter:
    """Counts the operations and sizes of the lowerings of a network."""

    def __init__(
        self,
        network: Path,
        data: str,
        bits: int,
        evaluation: Evaluation,
        options: SweepOptions,
    ) -> None:
        self.network, self.bits, self.evaluation = network, bits, evaluation
        self.options = options
        self.net: Graph = load_network(network)
        self.known = evaluation.good[: options.counted_samples]
        if not self.known:
            raise DataError(data, "no sample that can be read", "at least one")
        source = open_data(self.net, data, options.evaluation)
        indices = [sample.index for sample in self.known]
        self.x = next(source.batches(indices, len(indices))).x

    def row(self, shortcut: str, sdsa: str) -> SweepRow:
        """Return the row of a lowering, from its file if an earlier sweep has finished it."""
        path = self.network.with_name(f"{shortcut}_{sdsa}.json")
        identity = self._identity()
        if path.exists():
            content = _read(path)
            if content.get("identity") == identity:
                return SweepRow(**content["row"])
        row = self._count(shortcut, sdsa)
        write_json(path, {"identity": identity, "row": asdict(row)})
        return row

    def _identity(self) -> dict[str, Any]:
        models = [f"{model.name} {dict(model.costs)}" for model in self.evaluation.models]
        return {
            **self.evaluation.identity,
            "counted": [sample.index for sample in self.known],
            "models": hashlib.sha256(repr(models).encode()).hexdigest(),
        }

    def _count(self, shortcut: str, sdsa: str) -> SweepRow:
        result = simulate(self.net, self.x, "engine", shortcut=shortcut, sdsa=sdsa)
        self._check_same(result, shortcut, sdsa)
        assert result.compiled is not None
        graph = result.compiled.graph
        size = _size(graph)
        # The compiled graph has matrices instead of small convolutions; the number of weights is
        # that of the original kernels.
        lowered_size = _size(lower(self.net, result.compiled.lowering))
        counts = result.compiled_counts
        tables = {model.name: energy(counts, model) for model in self.evaluation.models}
        return SweepRow(
            bits=self.bits,
            shortcut=shortcut,
            sdsa=sdsa,
            accuracy=self.evaluation.accuracy(),
            top5=self.evaluation.accuracy(5),
            synops=counts.synops / counts.samples,
            energy_nj={name: table.per_sample_nj for name, table in tables.items()},
            not_charged={name: sorted(table.not_charged) for name, table in tables.items()},
            neurons=size.neurons,
            synapses=size.synapses,
            weights=lowered_size.weights,
            processes=size.processes,
            latency=result.compiled.schedule.latency[result.compiled.output_name],
            file_bytes=self.network.stat().st_size,
        )

    def _check_same(self, result: Result, shortcut: str, sdsa: str) -> None:
        """Check that a lowering does not change predictions: accuracy is measured only once."""
        predictions = [sample.predicted for sample in self.known]
        if result.labels.tolist() != predictions:
            raise GraphError(
                f"lowering {shortcut}, {sdsa}", "other predictions than the network itself",
                remedy="this is a bug: please report it, with the network",
            )  # fmt: skip
