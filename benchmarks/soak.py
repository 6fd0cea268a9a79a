"""``make soak``: an endless stream of events, compared bit for bit, with memory watched.

    python -m benchmarks.soak [--seconds 3600] [--cycles 500]

Recordings of the synthetic event data set follow one another as one stream, in which no neuron is
reset. Each stream goes to the engine, to Lava's models in one process, and to Lava's runtime with
its process for each Lava Process; every chunk is compared with the reference, which keeps its own
state from the beginning. Then small networks are built, run and stopped again and again.
Results go to ``benchmarks/results/soak.json``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, machine
from sdt_lava.backends.deployment import compile_network
from sdt_lava.backends.host import with_readout
from sdt_lava.backends.lava.processes.host_io import FrameSource, RecordedSignal, SpikeRecorder
from sdt_lava.backends.lava.processes.run_config import run_config
from sdt_lava.backends.lava.session import LavaSession
from sdt_lava.datasets import load_dataset
from sdt_lava.engine import Engine, RunRequest
from sdt_lava.io.files import write_json
from sdt_lava.ir import Graph, Signal
from sdt_lava.ir.reference import run_reference
from tests.lava_networks import Network, footprint
from tests.left_behind import children

STREAMS = {"engine": 0.25, "lava-inprocess": 0.25, "lava": 0.5}
_SAMPLES = {"engine": 25, "lava-inprocess": 25, "lava": 4}  # of a chunk
# Machine steps a second for which the recorder's files have room.
_MOST_STEPS = {"lava-inprocess": 1500, "lava": 400}
# Growth of memory between the second and the last third of a stream that is not a leak.
_SHARE, _KIB = 0.01, 2048
_COUNTS = ("processes", "threads", "files", "handlers")


@dataclass
class Watch:
    """What this process and its children hold, over time.

    Parameters
    ----------
    period : float
        Seconds from one sample to the next.
    """

    period: float = 0.0
    samples: list[dict[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Take a sample, unless the last one was just taken: it costs time."""
        now = time.monotonic() - self.began
        if self.samples and now - self.samples[-1]["seconds"] < self.period:
            return
        sample = dict.fromkeys(("anonymous_kib", "shared_kib", "threads", "files"), 0.0)
        pids = [os.getpid(), *children()]
        for pid in pids:
            # Files that are mapped are not memory that is held, and pages that forked processes
            # share count once.
            memory = _fields(f"/proc/{pid}/smaps_rollup")
            sample["anonymous_kib"] += memory["Pss_Anon"]
            sample["shared_kib"] += memory["Pss_Shmem"]
            sample["threads"] += _fields(f"/proc/{pid}/status")["Threads"]
            sample["files"] += len(os.listdir(f"/proc/{pid}/fd"))
        loggers = (logging.getLogger(), logging.getLogger("lava.magma.compiler.compiler"))
        sample["handlers"] = sum(len(logger.handlers) for logger in loggers)
        sample["processes"] = len(pids)
        self.samples.append({"seconds": now, **sample})

    def summary(self) -> dict[str, Any]:
        """Return growth after the first third, and whether it is flat."""
        third = max(1, len(self.samples) // 3)
        late = self.samples[third:] or self.samples
        memory = np.array([sample["anonymous_kib"] for sample in late])
        minutes = np.array([sample["seconds"] / 60 for sample in late])
        middle, last = np.median(memory[:third]), np.median(memory[-third:])
        slope = np.polyfit(minutes, memory, 1)[0] if len(late) > 2 else 0.0
        counts = {name: sorted({int(sample[name]) for sample in late}) for name in _COUNTS}
        is_flat = last - middle <= max(_SHARE * middle, _KIB)
        return {
            "samples": len(self.samples),
            "memory_mib": round(float(last) / 1024, 1),
            "growth_kib": round(float(last - middle)),
            "slope_kib_per_minute": round(float(slope), 1),
            "shared_mib": round(late[-1]["shared_kib"] / 1024, 1),
            **counts,
            "flat": bool(is_flat and all(len(values) == 1 for values in counts.values())),
        }


def _fields(path: str) -> dict[str, float]:
    """Return the numbers of a file of lines such as 'Name: 12 kB'."""
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return {
        line[0].rstrip(":"): float(line[1]) for line in lines if line[1:2] and line[1].isdigit()
    }


def make_network() -> Graph:
    """Return the integer network of the synthetic event data set, small and not trained."""
    import torch

    from sdt_lava.model import SpikeDrivenTransformer, preset
    from sdt_lava.quantize.export import to_network

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = SpikeDrivenTransformer(preset("synthetic-dvs", dim=16, num_heads=2))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_bn" in name:
                parameter.add_(0.7)
    return to_network(model.eval())[0]


def event_stream(net: Graph, samples: int) -> Iterator[np.ndarray]:
    """Yield chunks ``(samples * T, 1, *shape)`` of recordings in random order, without end."""
    data = load_dataset("synthetic-dvs", "test")
    scaled = np.rint(np.asarray(data.x) * net.input.scale).astype(np.int64)
    recordings = np.clip(scaled, net.input.low, net.input.high)
    rng = np.random.default_rng(0)
    while True:
        chosen = recordings[rng.integers(0, len(recordings), samples)]
        yield chosen.reshape(-1, 1, *net.input_shape)


# -- what runs the stream ----------------------------------------------------------------------

Outputs = dict[str, np.ndarray]


class EngineStream:
    """The engine, which keeps the state from chunk to chunk."""

    delay = 0

    def __init__(self, net: Graph, folder: Path, seconds: float) -> None:
        self.names = (*net.lif_names, net.output_name)
        self._engine, self._states = Engine(net, strict=False), {}

    def run(self, frames: np.ndarray) -> Outputs:
        """Return the output for every step of a chunk, ``(steps, 1, *shape)``."""
        return self._engine.run(frames, RunRequest(self.names, states=self._states))

    def close(self) -> None:
        """Nothing to close."""


class LavaStream:
    """One Lava network that runs on and on: the source's file is written as it goes."""

    def __init__(self, net: Graph, folder: Path, seconds: float, backend: str) -> None:
        self._compiled = compile_network(net, reset=False)
        graph, schedule = self._compiled.graph, self._compiled.schedule
        # The last neurons and the output depend on all others; a file for each would be large.
        self._recorded = (net.lif_names[-1], self._compiled.output_name)
        self.names = (net.lif_names[-1], net.output_name)
        self.delay = max(schedule.latency[name] for name in self._recorded)
        self._steps = int(seconds * _MOST_STEPS[backend]) + self.delay
        width = int(np.prod(net.input_shape))
        path = folder / "frames.npy"
        self._frames = np.lib.format.open_memmap(path, "w+", np.int32, (self._steps, width))
        source, network = FrameSource(path), self._compiled.build()
        source.s_out.connect(network.inp)
        signals = {
            name: RecordedSignal(
                int(np.prod(graph.shapes[name])),
                "uint8" if graph.signals[name] is Signal.SPIKE else "int32",
            )
            for name in self._recorded
        }
        self._recorder = SpikeRecorder(signals, folder, self._steps)
        for name in self._recorded:
            network.out_port(name).connect(self._recorder.port(name))
        is_forked = backend == "lava"
        self._session = LavaSession(
            source,
            run_config("lava" if is_forked else "accelerated"),
            timeout=600,
            executor="processes" if is_forked else "in-process",
        )
        self._session.__enter__()
        self._done = self._read = 0

    def run(self, frames: np.ndarray) -> Outputs:
        """Return the output of all steps that have come through, ``(steps, 1, *shape)``."""
        end = self._done + len(frames)
        if end > self._steps - self.delay:
            raise StopIteration
        self._frames[self._done : end] = frames.reshape(len(frames), -1)
        self._session.run(len(frames))
        self._done, first, last = end, self._read, max(0, end - self.delay)
        self._read = last
        graph, schedule = self._compiled.graph, self._compiled.schedule
        recorded = {}
        for name in self._recorded:
            start = schedule.first_step(name, 0)
            rows = self._recorder.read(name)[start + first : start + last]
            recorded[name] = np.array(rows).reshape(-1, 1, *graph.shapes[name])
        return with_readout(self._compiled, recorded)

    def close(self) -> None:
        """Stop the network."""
        self._session.close()


def soak(backend: str, net: Graph, seconds: float) -> dict[str, Any]:
    """Stream events through a back end for some time and compare every chunk."""
    watch, states = Watch(seconds / 200), {}
    late: Outputs = {}
    compared = differing = active = 0
    with tempfile.TemporaryDirectory(prefix="sdt-lava-soak-") as folder:
        if backend == "engine":
            stream: EngineStream | LavaStream = EngineStream(net, Path(folder), seconds)
        else:
            stream = LavaStream(net, Path(folder), seconds, backend)
        began = time.monotonic()
        try:
            for frames in event_stream(net, _SAMPLES[backend]):
                values = run_reference(net, frames, strict=False, states=states)
                outputs = stream.run(frames)
                for name in stream.names:
                    part = np.asarray(values[name])
                    known = np.concatenate([late[name], part]) if name in late else part
                    count = len(outputs[name])
                    differing += int(np.count_nonzero(known[:count] != outputs[name]))
                    active += int(np.count_nonzero(outputs[name]))
                    late[name] = known[count:]
                compared += count
                watch.look()
                if time.monotonic() - began > seconds:
                    break
        except StopIteration:  # as many steps as there is room for
            pass
        finally:
            took = time.monotonic() - began
            stream.close()
    return {
        "backend": backend, "seconds": round(took, 1), "steps": compared,
        "values_per_step": sum(int(np.prod(net.shapes[name])) for name in stream.names),
        "differing": differing, "not_zero": active, **watch.summary(),
    }  # fmt: skip


# -- many networks -----------------------------------------------------------------------------


def cycles(number: int) -> dict[str, Any]:
    """Build, run, check and stop a small Lava network many times in this interpreter."""
    watch, seen = Watch(), []
    began = time.monotonic()
    for done in range(number):
        with tempfile.TemporaryDirectory() as folder:
            network = Network(Path(folder))
            with network.session() as session:
                session.run(len(network.frames))
            network.check()
        del network, session
        seen.append(footprint())
        watch.look()
        if (done + 1) % 50 == 0:
            print(f"{done + 1} of {number} networks", file=sys.stderr, flush=True)
    summary = watch.summary()
    same = all(entry == seen[-1] for entry in seen[len(seen) // 3 :])
    return {
        "cycles": number, "seconds": round(time.monotonic() - began, 1),
        "footprint": seen[-1], "footprint_is_flat": same, **summary,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--seconds", type=float, default=3600.0, help="of all streams; 0: none")
    parser.add_argument("--cycles", type=int, default=500, help="networks built and stopped")
    parser.add_argument("--out", type=Path, default=RESULTS / "soak.json")
    options = parser.parse_args()
    good = True
    if options.seconds:
        net, streams = make_network(), []
        for backend, share in STREAMS.items():
            streams.append(soak(backend, net, share * options.seconds))
            print(streams[-1], flush=True)
        save(options.out, "streams", f"make soak SECONDS={options.seconds:g} CYCLES=0", streams)
        good = all(row["flat"] and row["not_zero"] and not row["differing"] for row in streams)
    if options.cycles:
        again = cycles(options.cycles)
        print(again, flush=True)
        save(options.out, "cycles", f"make soak SECONDS=0 CYCLES={options.cycles}", again)
        good = good and again["flat"] and again["footprint_is_flat"]
    sys.exit(not good)


def save(path: Path, part: str, command: str, results: Any) -> None:
    """Write one part of the results and leave the other as it is."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content[part] = {"machine": machine(), "command": command, "results": results}
    write_json(path, content)


if __name__ == "__main__":
    main()
