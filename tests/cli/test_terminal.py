"""Names in files, and paths, are shown as they are: no terminal, browser or figure obeys them."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdt_lava
from sdt_lava.cli import console as consoles
from sdt_lava.errors import DataError
from sdt_lava.support.text import figure_label, one_line, printable, quoted
from tests.cli.writers import make_inputs, save_untrained

CONTROL = "\x1b]8;;http://evil\x07x\x1b[31m\x9b2J\r\x00\u202egnp.\u200b\u2066\x85\ud800"
# Printable, so that a network file may have it in a name.
MARKUP = ["[link=http://evil]{}[/link]", "{}[/nope][bold]:smile:\\[/]$\\frac{}$"]


@pytest.fixture
def inputs(checkpoint, network, tmp_path):
    return make_inputs(checkpoint, network, tmp_path)


def renamed(path, form, out):
    """Write a network whose names have been changed."""
    net = sdt_lava.load_network(path)
    names = {node.name: form.replace("{}", node.name) for node in net}
    nodes = (
        replace(node, name=names[node.name], inputs=tuple(names[i] for i in node.inputs))
        for node in net
    )
    sdt_lava.save_network(net.rebuild(nodes), out)
    return set(names.values())


def is_plain(text):
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("form", MARKUP)
@pytest.mark.parametrize(
    "arguments",
    [
        ["info"],
        ["info", "--compiled"],
        ["info", "--schedule"],
        ["map"],
        ["check"],
        ["check", "--target", "loihi1"],
        ["energy", "--data"],
        ["sim", "--backend", "engine", "--data"],
    ],
    ids=" ".join,
)
def test_names_of_a_network(run, inputs, tmp_path, form, arguments):
    path = tmp_path / "hostile.h5"
    names = renamed(inputs.network, form, path)
    command, *options = arguments
    data = [inputs.data] if "--data" in options else []
    code, out, err = run("main", command, path, *options, *data)
    assert code in (0, 1) and is_plain(out) and is_plain(err), err
    # A network that breaks no rule is not described by its layers.
    assert any(name in out for name in names) == (arguments != ["check"])


def test_nothing_is_obeyed_on_a_terminal(inputs, tmp_path):
    """What rich writes for a terminal has styles, but no link from a file."""
    path = tmp_path / "hostile.h5"
    renamed(inputs.network, MARKUP[0], path)
    leader, follower = pty.openpty()
    try:
        command = [sys.executable, "-c", "from sdt_lava.cli import main; main()", "map", str(path)]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "250"}
        with subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=environment
        ) as process:
            os.close(follower)
            shown = b""
            try:
                while part := os.read(leader, 1 << 16):
                    shown += part
            except OSError:  # the other side is closed
                pass
            assert process.wait(100) == 0
    finally:
        os.close(leader)
    assert b"[link=http://evil]" in shown and b"\x1b[1m" in shown
    assert b"\x1b]8;" not in shown


@pytest.fixture
def hostile_target(tmp_path):
    text = resources.files("sdt_lava.hardware.targets").joinpath("loihi2.toml").read_text("utf-8")
    title = json.dumps(f"{CONTROL[:-1]}[/nope]")
    lines = [f"title = {title}" if line.startswith("title") else line for line in text.splitlines()]
    path = tmp_path / "t.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_texts_of_a_target(run, inputs, hostile_target):
    for command in (["map"], ["check"], ["check", "--rules"]):
        network = [] if "--rules" in command else [inputs.network]
        code, out, err = run("main", *command, *network, "--target", hostile_target)
        assert code in (0, 1) and is_plain(out) and is_plain(err)
        assert r"\x1b]8;;http://evil\x07" in out and "[/nope]" in out


@pytest.mark.parametrize("name", ["a\x1b]8;;x\x07\x9b.h5", "a\u202eb\r.h5", "a[/x].h5", "a\nb.h5"])
def test_paths(run, inputs, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(inputs.network.read_bytes())
    shown = one_line(name)
    for arguments in (["info", path], ["check", path], ["energy", path, "--data", inputs.data]):
        code, out, err = run("main", *arguments)
        assert code in (0, 1) and is_plain(out) and is_plain(err) and shown in out
    code, out, err = run("main", "info", f"{path}-missing")
    assert code == 2 and is_plain(err) and f"{shown}-missing" in err
    code, out, err = run("main", "energy", inputs.network, "--data", path)
    assert code == 2 and is_plain(err)
    out_path = path.with_suffix(".pt") if "\n" not in name else path
    code, out, err = run("main", "convert", inputs.checkpoint, "--pooling", "or", "-o", out_path)
    assert code == 0 and is_plain(out)


def test_a_name_that_is_not_utf_8(run, inputs, tmp_path):
    path = tmp_path / os.fsdecode(b"\xff\xfe.h5")
    path.write_bytes(inputs.network.read_bytes())
    code, out, err = run("main", "info", path)
    assert code == 0 and r"\udcff" in out


def test_texts_of_other_files(run, inputs, tmp_path):
    """Rates, members of archives, configurations: named in errors."""
    rates = tmp_path / "rates.csv"
    rates.write_text(f"name,rate\n{CONTROL[:-1]}[/nope],0.1\n", "utf-8", newline="")
    code, _, err = run("main", "energy", "--preset", "8-768", "--rates", rates)
    assert code == 2 and is_plain(err)
    members = tmp_path / "members.npz"
    np.savez(members, **{f"a{CONTROL[:10]}": np.zeros(1)})
    code, _, err = run("main", "energy", inputs.network, "--data", members)
    assert code == 2 and is_plain(err) and "evil" not in err.replace("http://evil", "")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({f"dim{CONTROL}[/nope]": 1}))
    code, _, err = run(
        "main_export", inputs.checkpoint, "-o", tmp_path / "o.h5", "--config", config
    )
    assert code == 2 and is_plain(err) and "[/nope]" in err


def test_the_data_set_that_a_checkpoint_names(run, tmp_path):
    """A command that is proposed must not do what a file says."""
    import torch

    path = save_untrained(tmp_path / "m.pt")
    model = sdt_lava.load_model(path)
    model.config = replace(model.config, dataset=f"$(reboot);{CONTROL[:-1]}")
    torch.manual_seed(0)
    sdt_lava.save_checkpoint(path, model)
    code, out, err = run("main", "convert", path, "--pooling", "or", "-o", tmp_path / "o.pt")
    assert code == 0 and is_plain(out) and "--data '$(reboot);" in out, err


@pytest.mark.parametrize(
    "arguments", [[f"--{CONTROL[1:-1]}"], [CONTROL[:-1]], ["info", "a", "b\x1b"]]
)
def test_arguments(run, arguments):
    """A shell makes arguments of the names of files."""
    arguments = [argument.replace("\0", "") for argument in arguments]
    code, out, err = run("main", *arguments)
    # Click shows its help for commands that begin with other characters than letters.
    assert code in (0, 2) and is_plain(out) and is_plain(err)


def test_log_records_and_warnings(run, inputs, monkeypatch, capsys):
    def noisy(*_, **__):
        warnings.warn(CONTROL, stacklevel=1)
        logging.getLogger("sdt_lava.test").warning("%s", CONTROL)
        raise DataError(CONTROL, f"a\n{CONTROL}")

    form = warnings.formatwarning
    root = logging.getLogger()
    handlers, root.handlers[:] = list(root.handlers), []
    monkeypatch.setattr("sdt_lava.cli.info.load_file", noisy)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda *parts, **_: print(
                warnings.formatwarning(*parts[:4]), file=sys.stderr
            )
            code, out, err = run("main", "info", inputs.network)
    finally:
        root.handlers[:] = handlers
    assert code == 2 and is_plain(err) and err.count(r"\x1b]8;;http://evil\x07") == 4
    assert warnings.formatwarning is form


def test_errors_are_plain_in_python():
    assert is_plain(str(DataError(CONTROL, CONTROL, CONTROL, CONTROL)))


def test_the_table_of_a_network_in_python():
    from tests.graphs import random_chain

    net = random_chain(np.random.default_rng(0))
    first, *rest = net
    changed = [replace(first, name=CONTROL)]
    changed += [
        replace(node, inputs=tuple(CONTROL if i == first.name else i for i in node.inputs))
        for node in rest
    ]
    text = str(net.rebuild(changed))
    assert is_plain(text) and len({len(line) for line in text.splitlines()}) == 1


def test_progress_and_status(monkeypatch):
    for terminal in (True, False):
        file = io.StringIO()
        plain = consoles.PlainConsole(file=file, force_terminal=terminal, width=200)
        monkeypatch.setattr(consoles, "error_console", plain)
        with consoles.progress_bar(f"[/nope]{CONTROL}") as update:
            update(1, 2)
        with plain.status(f"[/nope]{CONTROL}"):
            pass
        shown = file.getvalue()
        assert "\x1b]" not in shown and "\x9b" not in shown and "\u202e" not in shown
        assert "[/nope]" in shown or not terminal


def test_an_output_that_knows_few_letters(inputs):
    command = [sys.executable, "-c", "from sdt_lava.cli import main; main()", "info"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    path = inputs.network.with_name("µ€.h5")
    path.write_bytes(inputs.network.read_bytes())
    ended = subprocess.run([*command, str(path)], env=environment, capture_output=True, timeout=100)
    assert ended.returncode == 0 and rb"\xb5\u20ac.h5" in ended.stdout


LABELS = [
    "$\\frac{x$",
    "$",
    "$$",
    "a$b",
    "\\$x$",
    "_hidden",
    f"x{CONTROL}",
    "l" * 1000,
    "$" * 7,
    "a\nb",
]


@pytest.mark.parametrize("text", LABELS)
def test_labels_of_figures(text):
    """No formula, which may be wrong and raises; nothing is left out of a legend."""
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], label=figure_label(text))
    axes.set_yticks([1], [figure_label(text)])
    axes.set_title(figure_label(text))
    legend = axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = io.StringIO()
        figure.savefig(file, format="svg")
    (entry,) = legend.get_texts()
    shown, is_formula = entry._preprocess_math(entry.get_text())
    assert not is_formula and shown.strip()[:79] == one_line(text)[:79]


@pytest.mark.parametrize("form", [MARKUP[1], "_<b onload=x>{}"])
def test_figures_and_page(run, inputs, tmp_path, form):
    path = tmp_path / "$x$_[nope]\u202e.h5"
    renamed(inputs.network, form, path)
    data = ["--data", inputs.data]
    plots = tmp_path / "p.svg", tmp_path / "m.png", tmp_path / "c.png"
    assert run("main", "sim", path, *data, "--backend", "engine", "--plot", plots[0])[0] == 0
    assert run("main", "map", path, "--plot", plots[1])[0] == 0
    assert run("main", "compare", path, path, *data, "--plot", plots[2])[0] == 0
    assert all(plot.stat().st_size > 1000 for plot in plots)
    assert run("main", "report", path, *data, "--out", tmp_path / "page", "--figures")[0] == 0
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert "\u202e" not in page and "\\u202e" in page and "<b onload" not in page


def test_json_is_ascii(run, inputs, tmp_path):
    """Printed JSON is for programs, but printed on terminals, too."""
    path = tmp_path / "\x9b\u202e\x7fé.h5"
    path.write_bytes(inputs.network.read_bytes())
    for command in (
        ["info"],
        ["info", "--schedule"],
        ["map"],
        ["check"],
        ["lower", "--rate", "0.1"],
    ):
        code, out, err = run("main", *command, path, "--json")
        assert code in (0, 1) and out.isascii() and is_plain(out), err
        assert isinstance(json.loads(out), dict)


def test_text():
    assert printable("plain µ [x]") == "plain µ [x]"
    assert printable("a\nb\x1b\u202e\ud800\x9b") == "a\nb\\x1b\\u202e\\ud800\\x9b"
    assert one_line("a\nb\r") == "a\\nb\\r"
    assert quoted(Path("a b;c")) == "'a b;c'" and quoted("net.h5") == "net.h5"
