"""A program that forks in many situations; prints a line for each child that does not do its work.

Run by tests/support/test_forks.py with two threads of OpenMP, which the other tests do not have.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import _bootstrap

import numpy as np
import torch
from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock

import sdt_lava
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Conv, Graph, Input, Lif, TokenDilate
from sdt_lava.kernels.jit import jit
from sdt_lava.support.forks import ForkSafeLock
from sdt_lava.support.once import cached_property
from sdt_lava.support.torch_state import exact_arithmetic, inside_torch, torch_threads
from tests.families.sdt1.networks import lively_network, random_input, tiny_config

LIMIT = 60
rng = np.random.default_rng(0)


def network(*, generic: bool) -> Graph:
    def weight(*shape):
        return 2 * rng.integers(-60, 60, shape)

    nodes = [
        Input(name="input", shape=(3, 32, 32), high=255),
        Conv(name="a", inputs=("input",), weight=weight(64, 3, 3, 3), padding=(1, 1)),
        Lif(name="l", inputs=("a",), threshold=600),
    ]
    last = "l"
    if generic:
        nodes.append(TokenDilate(name="t", inputs=("l",), heads=4))
        last = "t"
    nodes += [
        Conv(name="c", inputs=(last,), weight=weight(64, 64, 3, 3), padding=(1, 1)),
        Lif(name="out", inputs=("c",), threshold=300),
    ]
    return Graph.build(nodes, 4)


NETWORKS = {"kernels": network(generic=False), "a node without a kernel": network(generic=True)}
X = rng.integers(0, 256, (4, 3, 32, 32))


def simulated(net, **options):
    return sdt_lava.simulate(net, X, "engine", strict=False, **options).logits


WANT = {name: simulated(net, threads=2) for name, net in NETWORKS.items()}
MODEL = lively_network(tiny_config())
IMAGES = random_input((2, MODEL.config.in_channels, *MODEL.config.image_size)).numpy()
FLOATS = sdt_lava.simulate(MODEL, IMAGES).logits


def check(what: str, work) -> None:
    """Fork, let the child work, and wait for it."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try:
            done = work()
            os._exit(0 if done else 7)
        except BaseException as error:
            print(f"{what}: {error!r}", flush=True)
            os._exit(9)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if status:
                print(f"{what}: exit code {os.waitstatus_to_exitcode(status)}", flush=True)
            return
        time.sleep(0.02)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    print(f"{what}: hangs", flush=True)


def equal(name, **options):
    return lambda: np.array_equal(simulated(NETWORKS[name], **options), WANT[name])


def after_runs() -> None:
    for name in NETWORKS:
        for options in (
            {"threads": 2}, {"threads": 1}, {}, {"reset": True, "count": True}, {"batch_size": 1}
        ):  # fmt: skip
            check(f"{name}, {options}", equal(name, **options))
        for kernels in ("onednn", "float32", "float64", "interpreter"):
            check(f"{name}, {kernels}", lambda n=name, k=kernels: _engine_agrees(n, k))
    check(
        "the float model", lambda: np.array_equal(sdt_lava.simulate(MODEL, IMAGES).logits, FLOATS)
    )
    check("threads of a training", _training_is_refused)
    check("a new network", lambda: simulated(network(generic=True)).size)


def _engine_agrees(name, kernels):
    from sdt_lava.engine import Engine, EngineOptions

    net = NETWORKS[name]
    frames = np.broadcast_to(X.astype(np.int64), (4, *X.shape))
    engine = Engine(net, strict=False, options=EngineOptions(kernels=kernels))
    return np.array_equal(engine.run(frames, ("out",))["out"].sum(0), WANT[name])


def _training_is_refused():
    try:
        with torch_threads(2):
            return False
    except ConfigError as error:
        return "spawn" in str(error)


def during_runs() -> None:
    stop = []

    def busy(net):
        while not stop:
            simulated(net, threads=1)

    threads = [threading.Thread(target=busy, args=(net,)) for net in NETWORKS.values()]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    for number in range(6):
        for name in NETWORKS:
            check(f"{name}, during runs, {number}", equal(name, threads=1 + number % 2))
    stop.append(True)
    for thread in threads:
        thread.join()


def held_elsewhere(what: str, holding, work) -> None:
    """Fork while another thread is inside a block for a while."""
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with holding():
            inside.set()
            leave.wait(1)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    check(what, work)
    leave.set()
    thread.join()


class _Slow:
    def __init__(self):
        self.inside, self.waits = threading.Event(), 1

    @cached_property
    def value(self):
        self.inside.set()
        time.sleep(self.waits)
        return 3


def locks() -> None:
    def new():
        return np.array_equal(jit(lambda values: values + values)(np.arange(3)), [0, 2, 4])

    held_elsewhere("numba's lock", lambda: global_compiler_lock, new)
    held_elsewhere("LLVM's lock", lambda: ffi.lib._lock, new)
    held_elsewhere("inside torch", inside_torch, equal("a node without a kernel"))
    held_elsewhere("exact arithmetic", exact_arithmetic, _precision_is_as_before)
    own = ForkSafeLock()
    held_elsewhere("a lock of ours", own.held, lambda: _holds(own))
    import_lock = _bootstrap._ModuleLockManager
    held_elsewhere("an import", lambda: import_lock("colorsys"), lambda: __import__("colorsys"))
    slow = _Slow()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    slow.inside.wait()
    slow.waits = 0
    check("a property", lambda: slow.value == 3)
    thread.join()


def _holds(lock):
    with lock.held():
        return True


def _precision_is_as_before():
    return torch.get_float32_matmul_precision() == "medium" and equal("kernels")()


def part(number):
    net = NETWORKS["a node without a kernel"]
    return sdt_lava.simulate(net, X[number : number + 1], "engine", strict=False).logits


def pool() -> None:
    with ProcessPoolExecutor(2) as executor:
        found = list(executor.map(part, range(4), timeout=LIMIT))
    if not np.array_equal(np.concatenate(found), WANT["a node without a kernel"]):
        print("pool: other results")


if __name__ == "__main__":
    torch.set_float32_matmul_precision("medium")
    for situation in sys.argv[1:]:
        globals()[situation]()
    print("done")
