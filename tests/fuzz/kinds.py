"""Every kind of file that a command reads: how cases are made, and how they are loaded."""

from __future__ import annotations

import copy
import io
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import torch
import typer
import yaml

from sdt_lava import export
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.run import simulate
from sdt_lava.cli.check import check_command
from sdt_lava.cli.info import info_command
from sdt_lava.cli.networks import load_file
from sdt_lava.cli.sim import print_synops
from sdt_lava.datasets import load_dataset
from sdt_lava.errors import CompileError, SdtLavaError
from sdt_lava.evaluate.run import DATABASE, EvaluationOptions, evaluate
from sdt_lava.families import load_with_report, resolve_config, save_checkpoint
from sdt_lava.families.draft import read_draft
from sdt_lava.families.sdt1.formula import formula_layers
from sdt_lava.io.netx import save_network
from sdt_lava.ir import Graph
from sdt_lava.model import SpikeDrivenTransformer
from sdt_lava.nir import NirOptions, load_nir
from sdt_lava.report.energy_model import ENERGY_MODELS, load_energy_model
from sdt_lava.report.formula_energy import formula_energy
from sdt_lava.report.lowerings import compare_lowerings
from sdt_lava.report.rates import read_rates
from tests.families.sdt1.official_cases import (
    YML,
    official_config,
    official_content,
    official_state,
)
from tests.fuzz import bombs, mutate_hdf5, mutate_sqlite, mutate_zip
from tests.fuzz.case import Kind, Source
from tests.fuzz.mutate_bytes import damaged
from tests.fuzz.mutate_npy import odd_npy
from tests.fuzz.mutate_pickle import change_objects, damaged_pickle, payload, random_pickle
from tests.fuzz.mutate_text import damaged_text
from tests.fuzz.originals import bytes_of, chdir, networks, nirs, small_chain
from tests.io.checkpoint import hostile

REPOSITORY = Path(__file__).resolve().parents[2]
# Larger networks are legal, but take longer than a case of many thousands may.
_SIMULATED_VALUES = 50_000


def _written(source: Source, name: str, content: bytes) -> Path:
    path = source.folder / name
    path.write_bytes(content)
    return path


# Networks


def _load_network(path: Path) -> None:
    info_command(path)
    info_command(path, json=True)
    graph = load_file(path)
    save_network(graph, path.with_name("again.h5"))
    _run(graph)


def _run(graph: Graph) -> None:
    """Simulate one sample, and compile, if the network is small."""
    values = sum(prod(shape) for shape in graph.shapes.values()) * graph.timesteps
    if values > _SIMULATED_VALUES:
        return
    x = np.random.default_rng(0).random((1, *graph.input_shape), np.float32)
    print_synops(simulate(graph, x, "engine").synops)
    compile_network(graph)


def _network_bytes(source: Source) -> Path:
    original = source.rng.choice(sorted(networks().items()))[1]
    return _written(source, "net.h5", damaged(source.rng, original))


def _network_structure(source: Source) -> Path:
    path = _written(source, "net.h5", source.rng.choice(sorted(networks().items()))[1])
    mutate_hdf5.damage(source.rng, path, source.canary)
    return path


def _network_growth(source: Source) -> Path:
    return bombs.growing_network(source.rng, source.folder / "net.h5")


def _load_growing(path: Path) -> None:
    """Do with a network whatever looks at all of its forms and paths."""
    info_command(path, schedule=True)
    graph = load_file(path)
    compare_lowerings(graph).to_dict()
    for shortcut in ("relay", "unrolled"):
        with suppress(CompileError):
            str(compile_network(graph, "loihi2", shortcut=shortcut).violations)
    compile_network(graph, "lava-cpu").schedule.to_dict()
    _run(graph)


def _nir_bytes(source: Source) -> Path:
    return _written(source, "net.nir", damaged(source.rng, nirs()[source.rng.choice(_NIRS)]))


def _nir_structure(source: Source) -> Path:
    path = _written(source, "net.nir", nirs()[source.rng.choice(_NIRS)])
    mutate_hdf5.damage(source.rng, path, source.canary)
    return path


_NIRS = ("ours", "plain")


def _load_nir(path: Path) -> None:
    graph, report = load_nir(path, NirOptions(timesteps=2))
    report.to_dict()
    report.lines()
    save_network(graph, path.with_suffix(".h5"))
    _run(graph)


# Checkpoints


def _own_content() -> dict:
    torch.manual_seed(0)
    config = official_config(depth=1, downsampling="stride", neuron="cuba", pooling_stat="0011")
    model = SpikeDrivenTransformer(config)
    archive = bytes_of(lambda path: save_checkpoint(path, model), ".pt")
    return torch.load(io.BytesIO(archive), weights_only=True)


@cache
def _contents() -> dict[str, dict]:
    config = official_config(depth=1)
    state = official_state(config)
    prefixed = {f"module.{name}": value for name, value in state.items()}
    return {
        "own": _own_content(),
        "official": official_content(config),
        "prefixed": official_content(config, state_dict=prefixed, state_dict_ema=state),
        "numpy": official_content(config, metric=np.float64(91.2)),
    }


def _saved(content: object, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


@cache
def _archives() -> dict[str, bytes]:
    return {name: _saved(content) for name, content in _contents().items()}


def _checkpoint_bytes(source: Source) -> Path:
    archive = source.rng.choice(sorted(_archives().items()))[1]
    return _written(source, "model_best.pth.tar", damaged(source.rng, archive))


def _checkpoint_pickle(source: Source) -> Path:
    rng = source.rng
    files = mutate_zip.entries(rng.choice(sorted(_archives().items()))[1])
    name = next(name for name in files if name.endswith("data.pkl"))
    change = rng.choice((damaged_pickle, damaged_pickle, damaged, _any_pickle))
    changed = mutate_zip.packed({**files, name: change(rng, files[name])})
    return _written(source, "model.pt", changed)


def _checkpoint_bombs(source: Source) -> Path:
    files = mutate_zip.entries(_archives()["official"])
    name = next(name for name in files if name.endswith("data.pkl"))
    changed = mutate_zip.packed({**files, name: bombs.bomb_pickle(source.rng, files[name])})
    return _written(source, "model.pt", changed)


def _any_pickle(rng: Random, _: bytes) -> bytes:
    return random_pickle(rng)


def _checkpoint_objects(source: Source) -> Path:
    content = copy.deepcopy(source.rng.choice(sorted(_contents().items()))[1])
    change_objects(source.rng, content, str(source.marker))
    try:
        archive = _saved(content, source.rng.choice((2, 2, 3, 4)))
    except Exception:  # not everything can be pickled
        archive = _saved({"format": payload(source.rng, str(source.marker))})
    return _written(source, "model.pt", archive)


def _checkpoint_archive(source: Source) -> Path:
    rng, path = source.rng, source.folder / "model.pth.tar"
    if rng.random() < 0.25:
        make = rng.choice(
            (
                hostile.zip_that_runs,
                hostile.pickle_that_runs,
                hostile.tar_that_runs,
                hostile.tar_with_zip_at_the_end,
            )
        )
        make(path, source.marker)
        if rng.random() < 0.7:
            path.write_bytes(damaged(rng, path.read_bytes()))
        return path
    files = mutate_zip.entries(rng.choice(sorted(_archives().items()))[1])
    return _written(source, path.name, mutate_zip.change_entries(rng, files))


def _load_checkpoint(path: Path) -> None:
    model, report = load_with_report(path)
    if report is not None:
        report.lines()
    if model.config.num_tokens * model.config.timesteps <= 4096:
        export(model, path.with_suffix(".h5"))


# Data


def _data_bytes(source: Source) -> Path:
    return _written(source, "data.npz", damaged(source.rng, _data()))


@cache
def _data() -> bytes:
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    np.savez_compressed(buffer, x=rng.random((4, 2, 6, 5), np.float32), y=np.arange(4) % 2)
    return buffer.getvalue()


def _data_structure(source: Source) -> Path:
    rng = source.rng
    files = mutate_zip.entries(_data())
    if rng.random() < 0.4:
        return _written(source, "data.npz", mutate_zip.change_entries(rng, files))
    name = rng.choice(sorted(files))
    npy = odd_npy(rng, str(source.marker))
    if rng.random() < 0.1:
        return _written(source, "data.npz", npy)  # .npy where .npz should be
    return _written(source, "data.npz", mutate_zip.packed({**files, name: npy}, rng.choice((0, 8))))


def _data_archive(source: Source) -> Path:
    return _written(source, "data.npz", bombs.archive(source.rng))


def _load_data(path: Path) -> None:
    data = load_dataset(path)
    graph = small_chain()
    if data.x.shape[1:] in (graph.input_shape, (graph.timesteps, *graph.input_shape)):
        simulate(graph, data.x[:2], "engine")


# Text


def _config(source: Source) -> Path:
    rng = source.rng
    own = yaml.safe_dump(official_config().to_dict())
    json = '{"image_size": [16, 16], "in_channels": 2,\n "num_classes": 3, "dim": 16,\n'
    json += ' "depth": 2, "timesteps": 3,\n "num_heads": 4, "pooling_stat": "0011"}'
    name, text = rng.choice((("conf.yml", YML), ("args.yaml", own), ("config.json", json)))
    return _written(source, name, damaged_text(rng, text, ("<<: *a", "a: &a [*a, *a]", "---")))


def _load_config(path: Path) -> None:
    with suppress(SdtLavaError):
        read_draft(None, str(path))
    resolve_config(path).to_dict()


def _packaged(folder: str) -> list[str]:
    files = sorted((REPOSITORY / "sdt_lava" / folder).glob("*.toml"))
    return [file.read_text(encoding="utf-8") for file in files]


def _target(source: Source) -> Path:
    text = source.rng.choice(_packaged("hardware/targets"))
    lines = ("[limits.more]", "value = 3", 'kinds = ["x"]', "[boards.x]", "chips = 0")
    return _written(source, "target.toml", damaged_text(source.rng, text, lines))


def _load_target(path: Path) -> None:
    check_command(rules=True, target=str(path), json=True)
    network = path.with_name("small.h5")
    network.write_bytes(networks()["stock"])
    try:
        check_command(network, target=str(path))
    except typer.Exit:
        return  # the network breaks a rule of this target


def _energy(source: Source) -> Path:
    text = source.rng.choice(_packaged("report/energy_models"))
    lines = ("[costs.mac]", "pj = 1e308", 'source = "x"', "[costs.more]", "costs = 3")
    return _written(source, "energy.toml", damaged_text(source.rng, text, lines))


def _load_energy(path: Path) -> None:
    model = load_energy_model(path)
    formula_energy(official_config(), model)


def _rates(source: Source) -> Path:
    rng = source.rng
    names = [layer.name for layer in formula_layers(official_config())]
    text = "name,rate\n" + "".join(f"{name},{rng.random():.3f}\n" for name in names)
    lines = ('"a', '"a""b",1', ",", "x,1,2", "x" * 200_000)
    return _written(source, "rates.csv", damaged_text(rng, text, lines))


def _load_rates(path: Path) -> None:
    config = official_config()
    rates = read_rates(path, formula_layers(config))
    formula_energy(config, load_energy_model(ENERGY_MODELS[0]), rates)


# Results


@cache
def _unfinished() -> bytes:
    """Return the database of an evaluation of four samples of which three are done."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _inputs(folder)
        with chdir(folder):
            _evaluate(folder, resume=False)
        database = folder / "out" / DATABASE
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("DELETE FROM samples WHERE sample = 3")
            connection.execute("PRAGMA journal_mode = DELETE")
        return database.read_bytes()


def _inputs(folder: Path) -> None:
    (folder / "net.h5").write_bytes(networks()["stock"])
    (folder / "data.npz").write_bytes(_data())


def _evaluate(folder: Path, *, resume: bool) -> None:
    # Its identity has the name of the data: cases run in their folders.
    options = EvaluationOptions(shard_size=2, resume=resume)
    evaluate(folder / "net.h5", "data.npz", folder / "out", options)


def _results(source: Source) -> Path:
    rng, folder = source.rng, source.folder / "out"
    folder.mkdir()
    path = folder / DATABASE
    path.write_bytes(_unfinished())
    if rng.random() < 0.5:
        path.write_bytes(damaged(rng, path.read_bytes()))
    else:
        mutate_sqlite.damage(rng, path)
    if rng.random() < 0.1:
        path.with_name(f"{DATABASE}-wal").write_bytes(rng.randbytes(4096))
    _inputs(source.folder)
    return source.folder


def _load_results(folder: Path) -> None:
    _evaluate(folder, resume=True)


_ALL: tuple[tuple[str, Callable[[Source], Path], Callable[[Path], None]], ...] = (
    ("network-bytes", _network_bytes, _load_network),
    ("network-structure", _network_structure, _load_network),
    ("network-growth", _network_growth, _load_growing),
    ("nir-bytes", _nir_bytes, _load_nir),
    ("nir-structure", _nir_structure, _load_nir),
    ("checkpoint-bytes", _checkpoint_bytes, _load_checkpoint),
    ("checkpoint-pickle", _checkpoint_pickle, _load_checkpoint),
    ("checkpoint-objects", _checkpoint_objects, _load_checkpoint),
    ("checkpoint-archive", _checkpoint_archive, _load_checkpoint),
    ("checkpoint-bombs", _checkpoint_bombs, _load_checkpoint),
    ("data-bytes", _data_bytes, _load_data),
    ("data-structure", _data_structure, _load_data),
    ("data-archive", _data_archive, _load_data),
    ("config", _config, _load_config),
    ("target", _target, _load_target),
    ("energy-model", _energy, _load_energy),
    ("rates", _rates, _load_rates),
    ("results", _results, _load_results),
)
KINDS: dict[str, Kind] = {name: Kind(name, make, load) for name, make, load in _ALL}

# Intact files by kind, with the name that they have to have: all of them load.
INTACT: dict[str, tuple[str, Callable[[], dict[str, bytes]]]] = {
    "network-bytes": ("net.h5", networks),
    "nir-bytes": ("net.nir", nirs),
    "checkpoint-bytes": ("model.pt", _archives),
    "data-bytes": ("data.npz", lambda: {"data": _data()}),
    "config": ("conf.yml", lambda: {"conf": YML.encode()}),
}


def intact_cases() -> Iterator[Kind]:
    """Yield cases that write an intact file and load it like any other."""
    for kind, (file, contents) in INTACT.items():
        for name, content in contents().items():

            def make(source: Source, file: str = file, content: bytes = content) -> Path:
                return _written(source, file, content)

            yield Kind(f"{kind}, {name}", make, KINDS[kind].load)
