"""What all benchmarks share: interleaved timing, rows with a target, the machine, JSON."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sdt_lava.io.files import write_json

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"
# Instruction sets that decide which kernels a CPU has.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8")
_PACKAGES = (
    "torch", "numpy", "numba", "lava-nc", "lava-dl", "onnxruntime", "openvino",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One comparison.

    Parameters
    ----------
    name : str
        What is compared, such as ``engine 8-512 batch 1 / float32 torch model``.
    ratio : float
        How many times better ours is: the median over rounds of peer / ours for times and sizes,
        of ours / peer for rates such as steps/s.
    target : float or None
        The ratio asked for; None where nothing was promised.
    ours, peer : float
        Medians, in ``unit``.
    unit : str
        Such as ``s/image``, ``steps/s`` or ``MB``.
    spread : float
        Distance between the quartiles of the ratio over rounds, divided by their median; 0 if
        there was one round.
    peer_form : str
        Which of several peers it is, where the fastest of them was taken.
    peers : dict
        All of them: their time in the same unit, or why there is none.
    """

    name: str
    ratio: float
    target: float | None
    ours: float
    peer: float
    unit: str
    spread: float
    peer_form: str = ""
    peers: dict[str, float | str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name, with the form of the peer."""
        return f"{self.name}: {self.peer_form}" if self.peer_form else self.name

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target is None or self.ratio >= self.target


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    rounds: tuple[int, int] = (3, 50),
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Time functions in turn, so that a change of the machine's load meets all of them.

    Parameters
    ----------
    functions : mapping of str to callable
        What is timed, by name. The order alternates from round to round.
    seconds : float
        Rounds are added until this much time has passed.
    rounds : tuple of int
        Fewest and most rounds.
    warm_up : int
        Rounds before that do not count.

    Returns
    -------
    dict of str to list of float
        Seconds of each call; the same index is the same round.
    """
    names = list(functions)
    for _ in range(warm_up):
        for name in names:
            functions[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    fewest, most = rounds
    while len(times[names[0]]) < most:
        for name in names:
            started = time.perf_counter()
            functions[name]()
            times[name].append(time.perf_counter() - started)
        names.reverse()
        if len(times[names[0]]) >= fewest and time.perf_counter() > end:
            break
    return times


def ratio_row(
    name: str,
    target: float | None,
    ours: Sequence[float],
    peer: Sequence[float],
    unit: str,
    *,
    per: float = 1.0,
    more_is_better: bool = False,
    peer_form: str = "",
    peers: Mapping[str, float | str] | None = None,
) -> Row:
    """Summarise measurements of the same rounds.

    Parameters
    ----------
    name, target, unit
        As in :class:`Row`.
    ours, peer : sequence of float
        One value a round; the same index is the same round.
    per : float
        Both are divided by it: 8 turns seconds a batch of 8 into seconds an image.
    more_is_better : bool
        For rates such as steps/s.
    peer_form, peers
        As in :class:`Row`.
    """
    pairs = zip(ours, peer, strict=True)
    ratios = [mine / theirs if more_is_better else theirs / mine for mine, theirs in pairs]
    median = statistics.median(ratios)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [median] * 3
    return Row(
        name=name,
        ratio=median,
        target=target,
        ours=statistics.median(ours) / per,
        peer=statistics.median(peer) / per,
        unit=unit,
        spread=(quartiles[2] - quartiles[0]) / median,
        peer_form=peer_form,
        peers=dict(peers or {}),
    )


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that decide its speed."""
    import torch

    return {
        "cpu": _cpu_field("model name") or platform.processor(),
        "cpu_family_model": f"{_cpu_field('cpu family')}/{_cpu_field('model')}",
        "flags": [flag for flag in _FLAGS if flag in _cpu_field("flags").split()],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "torch_threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpu_field(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == field:
            return value.strip()
    return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run_python(
    arguments: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a Python program of this repository in a process of its own; return what it prints.

    Raises
    ------
    subprocess.CalledProcessError, subprocess.TimeoutExpired
        If it fails or takes too long.
    """
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(REPOSITORY), *([inherited] if inherited else [])])
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except BaseException:
        # The whole group: a Lava run has processes of its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return output


def write_rows(path: Path, rows: Iterable[Row], **extra: Any) -> None:
    """Write ``{"machine": ..., "rows": [...]}``, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"machine": machine(), **extra, "rows": [asdict(row) for row in rows]})


def read_rows(path: Path) -> list[Row]:
    """Read the rows of such a file."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]
