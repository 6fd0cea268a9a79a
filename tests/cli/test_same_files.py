"""No command writes over what it reads, or one output over another."""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path

import pytest
import typer

from sdt_lava import cli
from sdt_lava.cli.places import roles
from sdt_lava.io import output_files
from tests.cli.writers import WRITERS, make_inputs

COMMANDS = typer.main.get_command(cli._app()).commands
# What the outputs of these folders are.
FOLDERS = {
    "evaluate": output_files.EVALUATION_FILES,
    "sweep": output_files.SWEEP_FILES,
    "report": output_files.REPORT_FILES,
}


@pytest.fixture
def inputs(checkpoint, network, tmp_path):
    return make_inputs(checkpoint, network, tmp_path)


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def variants(path):
    """Return other ways to name a file: relative, through links, as a hard link."""
    folder = path.parent
    below = folder / "below"
    below.mkdir(exist_ok=True)
    linked = folder / f"symbolic{path.suffix}"
    linked.symlink_to(path.name)
    hard = folder / f"hard{path.suffix}"
    hard.hardlink_to(path)
    (folder / "elsewhere").symlink_to(folder, target_is_directory=True)
    return [
        path,
        Path(os.path.relpath(path)),
        below / ".." / path.name,
        linked,
        hard,
        folder / "elsewhere" / path.name,
    ]


def read_by(writer, inputs):
    """Return the inputs that a command names."""
    named = {str(argument) for argument in writer.arguments(inputs, inputs.data.with_name("out"))}
    return [path for path in vars(inputs).values() if str(path) in named]


FILES = {name: writer for name, writer in WRITERS.items() if not writer.is_folder}


@pytest.mark.parametrize("name", FILES)
def test_an_output_in_place_of_an_input(run, inputs, name):
    """Whatever the output is called, the input stays as it was, and nothing is computed."""
    writer = FILES[name]
    for index, source in enumerate(read_by(writer, inputs)):
        folder = source.parent / f"case-{index}"
        folder.mkdir()
        copy = Path(shutil.copy(source, folder))
        for output in variants(copy):
            before = contents(folder)
            arguments = [
                copy if argument == source else argument
                for argument in writer.arguments(inputs, output)
            ]
            code, out, err = run("main", *arguments)
            assert code == 2 and "same file" in err, (output, err)
            assert not out and contents(folder) == before


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("main_export", ["{checkpoint}", "--out", "{checkpoint}"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--json", "{checkpoint}"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--calibration", "{data}", "--json",
                         "{data}"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--json", "x.h5"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--json", "X.H5"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--json", "./x.h5"]),
        ("main_export", ["{checkpoint}", "--out", "x.h5", "--config", "c.yml", "--json", "c.yml"]),
        ("main_sim", ["{network}", "--data", "{data}", "--json", "{network}"]),
        ("main_sim", ["{network}", "--data", "{data}", "--plot", "{data}"]),
        ("main_sim", ["{network}", "--data", "{data}", "--plot", "a.png", "--json", "a.png"]),
        ("main", ["train", "--preset", "digits", "--data", "{data}", "--test-data", "{data}",
                  "--out", "{data}"]),
        ("main", ["train", "--preset", "digits", "--data", "m.npz.resume", "--test-data", "{data}",
                  "--out", "m.npz"]),
        ("main", ["finetune", "m.pt.resume", "--data", "{data}", "--test-data", "{data}",
                  "--out", "m.pt"]),
        ("main", ["map", "{network}", "--target", "t.toml", "--plot", "t.toml"]),
        ("main", ["map", "{network}", "--data", "{data}", "--runtime", "r.toml", "--plot",
                  "r.toml"]),
        ("main", ["nir", "{nir}", "--out", "x.h5", "--json", "{nir}"]),
        ("main", ["nir", "{nir}", "--out", "linked.h5"]),
        ("main", ["compare", "{checkpoint}", "{network}", "--data", "{data}", "--json",
                  "{checkpoint}"]),
        ("main", ["evaluate", "f/results.json", "--data", "{data}", "--out", "f"]),
        ("main", ["evaluate", "{network}", "--data", "{data}", "--out", "f", "--model",
                  "f/predictions.csv"]),
        ("main", ["report", "f/report.json", "--data", "{data}", "--out", "f"]),
        ("main", ["report", "{network}", "--data", "{data}", "--out", "f", "--target",
                  "f/index.html"]),
        ("main", ["sweep", "f/4-bit/net.h5", "--data", "{data}", "--out", "f"]),
        ("main", ["sweep", "{checkpoint}", "--data", "{data}", "--out", "f", "--calibration",
                  "f/sweep.csv"]),
    ],
)  # fmt: skip
def test_pairs(run, inputs, monkeypatch, command, arguments):
    folder = inputs.data.parent
    monkeypatch.chdir(folder)
    (folder / "f" / "4-bit").mkdir(parents=True)
    # Links, so that only what a name leads to tells that it is an input.
    (folder / "linked.h5").symlink_to(inputs.nir)
    for name in ("results.json", "report.json", "4-bit/net.h5", "predictions.csv", "index.html",
                 "sweep.csv"):  # fmt: skip
        (folder / "f" / name).hardlink_to(inputs.network)
    for name in ("c.yml", "t.toml", "r.toml", "m.npz.resume", "m.pt.resume"):
        (folder / name).write_bytes(b"as it was")
    before = contents(folder)
    given = {name: path.name for name, path in vars(inputs).items()}
    code, out, err = run(command, *(argument.format(**given) for argument in arguments))
    assert code == 2 and "same file" in err, err
    assert not out and contents(folder) == before


def test_an_output_among_the_files_of_a_data_set(run, inputs, tmp_path):
    root = tmp_path / "sets"
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for output in (folder / "data_batch_1", folder / "new.json"):
        arguments = [inputs.network, "--data", "cifar10", "--data-root", root, "--json", output]
        code, _, err = run("main_sim", *arguments)
        assert code == 2 and "inside --data" in err, err
    assert not list(folder.iterdir())


def test_what_looks_alike_is_allowed(run, inputs, tmp_path, monkeypatch):
    """Names of data sets are no files, and an evaluation may lie beside what it reads."""
    monkeypatch.chdir(tmp_path)
    data = ["--data", "digits", "--samples", 1, "--backend", "engine"]
    code, _, err = run("main_sim", inputs.network, *data, "--json", "digits")
    assert code == 0 and (tmp_path / "digits").is_file(), err
    again = ["evaluate", inputs.network, "--data", inputs.data, "--out", tmp_path]
    assert run("main", *again)[0] == 0
    assert run("main", *again, "--resume")[0] == 0


@pytest.mark.parametrize("name", FOLDERS)
def test_the_files_of_a_folder_are_known(run, inputs, tmp_path, name):
    """A new file in an output folder belongs into the list that inputs are compared with."""
    folder = tmp_path / "made"
    extra = {"report": ["--figures"]}.get(name, [])
    assert run("main", *WRITERS[name].arguments(inputs, folder), *extra)[0] == 0
    made = {path for path in folder.rglob("*") if path.is_file()}
    known = {path for pattern in FOLDERS[name] for path in folder.glob(pattern)}
    assert made and made <= known


def annotated(command):
    """Yield parameters of a command whose type, or help, says that they are files."""
    for name, parameter in inspect.signature(command.callback, eval_str=True).parameters.items():
        kinds, *extras = parameter.annotation.__metadata__, parameter.annotation.__origin__
        words = str(getattr(kinds[0], "help", "")).lower()
        is_path = Path in (extras[0], *getattr(extras[0], "__args__", ()))
        if is_path or any(word in words for word in (".toml", ".npz", "file,", "data set")):
            yield name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_of_a_command_has_a_role(name):
    command = COMMANDS[name]
    # A folder that holds data sets: those in use are known by --data.
    files = set(annotated(command)) - {"data_root", "part", "binning", "download"}
    assert files and files <= set(roles(command.callback))


def test_an_output_in_place_of_the_resume_file(run, inputs, tmp_path):
    """Training goes on from its own file, which it may replace."""
    out = tmp_path / "trained.pt"
    arguments = WRITERS["train"].arguments(inputs, out)
    assert run("main", *arguments)[0] == 0
    code, _, err = run("main", *arguments, "--tensorboard", out)
    assert code == 2 and str(out) in err


def test_what_is_read_is_never_replaced(tmp_path):
    """The last line of defence: outputs that no list names."""
    from sdt_lava.io.files import OutputError, protecting, write_json

    source, link = tmp_path / "in", tmp_path / "link"
    source.write_bytes(b"as it was")
    link.symlink_to(source)
    with protecting([source, tmp_path / "missing", "\0"]):
        for path in (source, link):
            with pytest.raises(OutputError, match="read here"):
                write_json(path, 1)
        write_json(tmp_path / "other", 1)
    assert source.read_bytes() == b"as it was"
    write_json(source, 1)
    assert source.read_text() == "1\n"
