"""A process that makes and loads cases: ``python -m tests.fuzz.worker``.

It reads one case a line, ``KIND NUMBER``, and answers each with one line of JSON. Whatever a case
does to it, the driver sees: a crash as the end of the process, a hang as silence.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any, TextIO

import h5py
import numpy as np
import torch

from sdt_lava.errors import SdtLavaError
from tests.fuzz.case import ALLOWANCE, Kind, Source
from tests.fuzz.kinds import KINDS, intact_cases
from tests.fuzz.originals import chdir
from tests.fuzz.watch import AuditHook, Canary

# Address space that a case may take beyond what the intact process has.
MEMORY_BYTES = 3 * 2**30
# A longer message is no sentence for people.
_LONGEST_MESSAGE = 20_000


def _limit_memory() -> None:
    """Fail allocations instead of the machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _resident(field: str) -> float:
    """Return VmRSS or VmHWM, the highest VmRSS since it was set back [MiB]."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def make_canaries(folder: Path) -> tuple[Path, Path]:
    """Write files that would do as data if a link to them were followed."""
    with h5py.File(folder / "canary.h5", "w") as file:
        file["weight"] = np.full((4, 1, 3, 3), 2, np.int16)
        file.create_group("layer")
    (folder / "canary.bin").write_bytes(bytes(65_536))
    return folder / "canary.h5", folder / "canary.bin"


class Worker:
    """Makes and loads cases in a folder that it removes in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.canaries = make_canaries(folder)
        self.canary = Canary(self.canaries)
        self.hook = AuditHook()

    def case_folder(self) -> Path:
        """Return an empty folder, always of the same name."""
        folder = self.folder / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # What a command writes for itself while it works goes there, too.
        tempfile.tempdir = str(folder)
        return folder

    def warm_up(self) -> list[dict[str, Any]]:
        """Load what is imported late and compile, so that cases are alike.

        Returns what came of the intact files.
        """
        # torch imports more, with code made of strings, when it first shows a tensor.
        repr(torch.zeros(1))
        intact = [self.run(kind, -1) for kind in intact_cases()]
        for kind in KINDS.values():
            self.run(kind, -1)
        return intact

    def run(self, kind: Kind, number: int) -> dict[str, Any]:
        """Make a case, load it, and say what came of it."""
        folder = self.case_folder()
        rng = Random(f"{kind.name} {number}")
        try:
            path = kind.make(Source(rng, folder, self.folder))
        except Exception:
            found = {"outcome": "failed", "error": "not made", "message": traceback.format_exc()}
            return {"kind": kind.name, "number": number, **found}
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _resident("VmRSS")
        self.canary.touched()
        nbytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        started, worked = time.perf_counter(), time.process_time()
        with chdir(folder), self.hook.armed(folder):
            outcome = self._load(kind, path)
        outcome["seconds"] = time.perf_counter() - started
        outcome["mib"] = max(0.0, _resident("VmHWM") - before)
        outcome["bytes"] = nbytes
        excess = ALLOWANCE.excess(nbytes, time.process_time() - worked, outcome["mib"])
        # The first cases of a worker, whose numbers are negative, import and compile.
        if excess and number >= 0:
            outcome |= {"outcome": "failed", "error": "Excess", "message": excess}
        trespasses = list(self.hook.found)
        if self.canary.touched():
            trespasses.append("opened a file outside, named in the case")
        marker = self.folder / "ran"
        if marker.exists():
            marker.unlink()
            trespasses.append("ran code of the case")
        if trespasses:
            outcome |= {"outcome": "failed", "error": "Trespass", "message": "; ".join(trespasses)}
        return {"kind": kind.name, "number": number, **outcome}

    def _load(self, kind: Kind, path: Path) -> dict[str, Any]:
        try:
            kind.load(path)
        except SdtLavaError as error:
            name, message = type(error).__name__, str(error)
            if not (error.where and error.found) or len(message) > _LONGEST_MESSAGE:
                shown = f"{len(message)} characters: {message[:300]}"
                return {"outcome": "failed", "error": f"poor {name}", "message": shown}
            return {"outcome": "refused", "error": name, "message": message[:300]}
        except Exception as error:
            found = traceback.format_exc()
            name = type(error).__name__
            return {"outcome": "failed", "error": name, "message": found[-3000:]}
        return {"outcome": "loaded", "error": "", "message": ""}


def _serve(worker: Worker, answers: TextIO) -> None:
    for line in sys.stdin:
        name, number = line.split()
        print(json.dumps(worker.run(KINDS[name], int(number))), file=answers, flush=True)


def main() -> None:
    # Commands print; answers go where standard output was.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stdout
    with tempfile.TemporaryDirectory(prefix="sdt-lava-fuzz-") as name:
        worker = Worker(Path(os.path.realpath(name)))
        worker.warm_up()
        # What the process has by now stays: collections look at what cases leave only.
        gc.collect()
        gc.freeze()
        _limit_memory()
        print(json.dumps({"ready": list(KINDS)}), file=answers, flush=True)
        _serve(worker, answers)


if __name__ == "__main__":
    main()
