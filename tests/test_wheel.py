"""Wheel and sdist: what is in them, and that they work where nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sdt_lava import __version__
from tests.needs import HAS_LAVA

# Its packages may have to be fetched.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REPOSITORY = Path(__file__).resolve().parents[1]
_DATA = REPOSITORY / "tests" / "data"
# Imports every module, and names those that another package was missing for.
_IMPORT_ALL = """
import importlib, pkgutil, sdt_lava
for module in pkgutil.walk_packages(sdt_lava.__path__, "sdt_lava.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        print(module.name, error.name)
print(sdt_lava.__file__)
"""


def run(*command, folder, code=0):
    """Run a command outside the checkout; return its standard output."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr[-3000:]
    return ended.stdout if code == 0 else ended.stderr


def uv(*arguments, folder):
    from uv import find_uv_bin

    return run(find_uv_bin(), *arguments, folder=folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both from a copy: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("built")
    sources = folder / "sources"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("sdt_lava", "export", "simulate"):
        shutil.copytree(REPOSITORY / name, sources / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, sources)
    uv("build", "--quiet", "--python", sys.executable, "--out-dir", folder / "dist", sources,
       folder=folder)  # fmt: skip
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory):
    """Install the wheel into an empty environment: with Lava where the tests have it."""
    folder = tmp_path_factory.mktemp("empty")
    python = folder / "venv" / "bin" / "python"
    minor = f"py3{sys.version_info[1]}"
    constraints = REPOSITORY / "constraints" / f"{minor}{'-lava' if HAS_LAVA else ''}.txt"
    what = f"sdt-lava{'[lava]' if HAS_LAVA else ''} @ {wheel.as_uri()}"
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv", folder=folder)
    uv("pip", "install", "--quiet", "--python", python, "--constraint", constraints, what,
       folder=folder)  # fmt: skip
    return python.parent


@pytest.fixture(scope="module")
def work(tmp_path_factory, bin_folder):
    """Return a folder with a checkpoint, the network that was made of it, and a stock file."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copy(_DATA / "digits" / "model.pt", folder)
    shutil.copy(_DATA / "netx" / "thresholds.net", folder / "stock.net")
    run(bin_folder / "sdt-export", "model.pt", "--out", "net.h5", folder=folder)
    return folder


def package_files():
    found = (path for path in (REPOSITORY / "sdt_lava").rglob("*") if path.is_file())
    return {str(path.relative_to(REPOSITORY)) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == package_files()


def test_the_sdist_holds_every_file_of_the_package(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {*package_files(), "pyproject.toml", "LICENSE", "README.md"}


def test_the_metadata_is_that_of_the_project(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Version"] == __version__ and metadata["Requires-Python"] == ">=3.10"
    required = {Requirement(text).name for text in metadata.get_all("Requires-Dist")}
    assert {"torch", "numpy", "lava-nc", "torchvision", "tonic"} <= required
    assert {"lava", "images", "events", "cluster", "tensorboard", "dev"} == set(
        metadata.get_all("Provides-Extra")
    )


def test_every_module_can_be_imported_without_anything_else(bin_folder, tmp_path):
    *lines, place = run(bin_folder / "python", "-c", _IMPORT_ALL, folder=tmp_path).splitlines()
    assert place.startswith(str(bin_folder.parent))
    missing = {line.split()[1].partition(".")[0] for line in lines}
    assert missing <= ({"lava"} if not HAS_LAVA else set()), lines


def test_the_version_is_printed(bin_folder, tmp_path):
    assert run(bin_folder / "sdt-lava", "--version", folder=tmp_path) == f"sdt-lava {__version__}\n"


def test_spikes_of_two_back_ends_are_equal(bin_folder, work):
    data = ("--data", "digits", "--samples", "4")
    backend = "lava-inprocess" if HAS_LAVA else "machine"
    for name in ("engine", backend):
        run(bin_folder / "sdt-sim", "net.h5", *data, "--backend", name, folder=work)
    run(
        bin_folder / "sdt-lava", "compare", "net.h5", "net.h5", *data, "--json", "same.json",
        "--left-backend", backend, "--right-backend", "engine", folder=work,
    )  # fmt: skip
    same = json.loads((work / "same.json").read_text())
    assert same["differing"] == 0 and same["samples"] == 4
    assert sum(layer["right_rate"] for layer in same["layers"]) > 0


@pytest.mark.skipif(HAS_LAVA, reason="tells that Lava is missing")
def test_lava_that_is_missing_is_named(bin_folder, work):
    said = run(
        bin_folder / "sdt-sim", "net.h5", "--data", "digits", "--backend", "lava",
        folder=work, code=3,
    )  # fmt: skip
    assert "sdt-lava[lava]" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "net.h5"),
        ("check", "net.h5", "--target", "loihi2"),
        ("map", "net.h5"),
        ("lower", "net.h5"),
        ("energy", "net.h5", "--data", "digits", "--samples", "4"),
        ("report", "net.h5", "--data", "digits", "--samples", "4", "--out", "page"),
        ("nir", "stock.net", "--timesteps", "4", "--out", "net.nir"),
        ("train", "--preset", "digits", "--epochs", "1", "--samples", "32", "--out", "new.pt"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_find_all_that_they_need(arguments, bin_folder, work):
    assert run(bin_folder / "sdt-lava", *arguments, folder=work)
