"""Files of other programs: which load, run equal, or are refused and why.

    python -m benchmarks.public_files FOLDER [--jobs N] [--limit SECONDS] [--format NAME]
                                             [--json PATH]

Each folder in FOLDER is a project, such as ``lava-dl``: a repository's files, in the folders where
they were. A project whose name ends in a version, such as ``Norse 1.1.0``, has files that we let
that version's exporter write. Every file is loaded as ``sdt-lava info`` does, and run: see
`benchmarks.file_checks`. Results go to ``benchmarks/results/public_files.json``, and tables into
``docs/public-files.md``; without FOLDER, only the tables are made. With a format, what was measured
of the others stays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS, machine
from benchmarks.file_checks import MESSAGE_STEPS, NETX_STEPS, NIR_STEPS, SUFFIXES, Row, check_file
from benchmarks.pages import filled, table
from sdt_lava.io.files import write_json

PAGE = REPOSITORY / "docs" / "public-files.md"
JSON = RESULTS / "public_files.json"
COMMAND = "python -m benchmarks.public_files FOLDER"
# Heading of each format in the page, by the end of a file's name.
FORMATS = {
    "networks": (".net", ".h5", ".hdf5"),
    "nir": (".nir",),
    "checkpoints": (".pt", ".pth", ".pth.tar", ".safetensors"),
}
OUTCOMES = {
    "equal": "equal",
    "rounded": "loads, rounded",
    "loads": "loads",
    "different": "**loads, different**",
    "refused": "refused",
    "absent": "not tried",
}
_PAUSE = 0.05
_LONGEST = 220


def find_files(folder: Path) -> list[Row]:
    """Return a row for each distinct file below a folder, with the names of its copies."""
    found: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.endswith(SUFFIXES):
            project, *parts = path.relative_to(folder).parts
            name = "/".join(parts) or project
            key = project if parts else "", hashlib.sha256(path.read_bytes()).hexdigest()
            row = {"format": _format(name), "project": key[0], "file": name, "copies": []}
            found.setdefault(key, row)
            if found[key] is not row:
                found[key]["copies"].append(name)
    return list(found.values())


def _format(name: str) -> str:
    return next(kind for kind, suffixes in FORMATS.items() if name.endswith(suffixes))


@dataclass
class _Run:
    """A file that a process of its own looks at."""

    row: Row
    process: BaseProcess
    partial: Path
    end: float

    def is_over(self) -> bool:
        return not self.process.is_alive() or time.monotonic() > self.end

    def finish(self) -> Row:
        """Return the row, with what is known if the process was stopped."""
        stopped = self.process.is_alive()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.join()
        row: Row = json.loads(self.partial.read_text()) if self.partial.exists() else self.row
        if not row.pop("done", False):
            why = "stopped at the time limit" if stopped else "the process died"
            row["said"] = [*row.get("said", []), why]
            row.setdefault("outcome", "refused")
        return row


def run_files(folder: Path, rows: list[Row], jobs: int, limit: float) -> Iterator[Row]:
    """Check files, some at a time; a process that dies or hangs costs its own file only."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as scratch:
        waiting, running = list(enumerate(rows)), list[_Run]()
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    index, row = waiting.pop(0)
                    partial = Path(scratch) / f"{index}.json"
                    path = folder / row["project"] / row["file"]
                    process = context.Process(target=_child, args=(path, row, partial))
                    process.start()
                    running.append(_Run(row, process, partial, time.monotonic() + limit))
                for run in [run for run in running if run.is_over()]:
                    running.remove(run)
                    yield run.finish()
                time.sleep(_PAUSE)
        finally:
            for run in running:
                run.finish()


def _child(path: Path, row: Row, partial: Path) -> None:
    os.setsid()
    # Lava sets it in this process.
    multiprocessing.set_start_method(None, force=True)
    start = time.perf_counter()

    def save() -> None:
        row["seconds"] = round(time.perf_counter() - start, 1)
        write_json(partial, row)

    try:
        check_file(path, row, save)
    except Exception as error:
        # A check that fails is a finding, and other files go on.
        row["outcome"] = "different"
        row.setdefault("said", []).append(f"{type(error).__name__}: {str(error)[:_LONGEST]}")
    row["done"] = True
    save()


def tables(content: Mapping[str, Any], kind: str) -> str:
    """Return the table of one format, and how many of its files ended how."""
    rows = [row for row in content["files"] if row["format"] == kind]
    text = table(
        ["project", "file", "outcome", "details"],
        [[row["project"], _names(row), OUTCOMES[row["outcome"]], _findings(row)] for row in rows],
    )
    counts = [
        f"{said.strip('*')} {number}"
        for outcome, said in OUTCOMES.items()
        if (number := sum(row["outcome"] == outcome for row in rows))
    ]
    made = content["machine"]
    return (
        f"{text}\n{len(rows)} files: {'; '.join(counts)}. `{content['command']}`, {made['date']}.\n"
    )


def _names(row: Row) -> str:
    more = f" (and {len(row['copies'])} copies)" if len(row["copies"]) > 1 else ""
    return f"`{row['file']}`{' (and a copy)' if len(row['copies']) == 1 else more}"


def _findings(row: Row) -> str:
    parts = []
    same = [name for name, equal in row.get("same", []) if equal]
    other = [name for name, equal in row.get("same", []) if not equal]
    if same:
        parts.append(f"engine = {' = '.join(same)}")
    parts += [f"not equal: {name}" for name in other]
    for name, shares in row.get("shares", {}).items():
        said = ", ".join(f"{_share(share)}" for share in shares.values())
        parts.append(f"{name}: {said}")
    parts += row.get("said", [])
    text = "; ".join(parts)
    return _plain(text if len(text) <= _LONGEST * 2 else f"{text[: _LONGEST * 2]}…")


def _share(share: float) -> str:
    return "1" if share == 1 else f"{min(share, 0.9999):.4f}"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def fill_page(page: str, content: Mapping[str, Any]) -> str:
    """Return the page with its tables."""
    for kind in FORMATS:
        page = filled(page, kind, tables(content, kind))
    return page


def _measure(options: argparse.Namespace) -> None:
    found, rows = find_files(options.folder), list[Row]()
    if options.format is not None:
        found = [row for row in found if row["format"] == options.format]
        before = json.loads(options.json.read_text(encoding="utf-8"))["files"]
        rows = [row for row in before if row["format"] != options.format]
    for row in run_files(options.folder, found, options.jobs, options.limit):
        rows.append(row)
        print(f"{row['outcome']:10} {row['project']}/{row['file']}: {_findings(row)}", flush=True)
    rows.sort(key=lambda row: (row["project"].lower(), row["file"]))
    steps = {"nir": NIR_STEPS, "networks": NETX_STEPS, "messages": MESSAGE_STEPS}
    content = {"command": COMMAND, "machine": machine(), "steps": steps, "files": rows}
    write_json(options.json, content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of folders, one a project")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one file")
    parser.add_argument("--format", choices=[*FORMATS], help="only files of this format")
    parser.add_argument("--json", type=Path, default=JSON, help="where results go")
    options = parser.parse_args()
    if options.folder is not None:
        _measure(options)
    content = json.loads(options.json.read_text(encoding="utf-8"))
    PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8"), content), encoding="utf-8")


if __name__ == "__main__":
    main()
