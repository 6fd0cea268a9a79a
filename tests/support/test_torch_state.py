"""Switches of torch: whoever changes them, in whatever order, they are as before afterwards."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
import torch

import sdt_lava
from sdt_lava.engine import Engine, EngineOptions
from sdt_lava.errors import DataError
from sdt_lava.ir.reference import run_reference
from sdt_lava.support.torch_state import (
    evaluating,
    exact_arithmetic,
    modes_of,
    random_numbers_apart,
    torch_threads,
)
from sdt_lava.training.training import accuracy
from tests.families.sdt1.networks import lively_network, random_input, tiny_config
from tests.graphs import random_frames, random_sdt_graph


def switches():
    return (
        torch.get_float32_matmul_precision(),
        torch._C._get_nnpack_enabled() if hasattr(torch._C, "_get_nnpack_enabled") else None,
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_autocast_cpu_enabled(),
    )


@pytest.fixture(autouse=True)
def medium():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


class Other:
    """Another thread, which enters and leaves a block when it is told to."""

    def __init__(self, block):
        self._commands, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._block, self.seen = block, None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        self._commands.acquire()
        with self._block():
            self._done.release()
            self._commands.acquire()
        self._done.release()

    def go_on(self):
        self._commands.release()
        assert self._done.acquire(timeout=20)


@pytest.mark.parametrize("first_out", [0, 1])
@pytest.mark.parametrize("block", [exact_arithmetic, lambda: torch_threads(3)])
def test_two_threads_in_any_order(block, first_out):
    before = switches()
    others = [Other(block), Other(block)]
    others[0].go_on()
    others[1].go_on()
    others[first_out].go_on()
    if block is exact_arithmetic:  # it still holds for the one that is left
        assert torch.get_float32_matmul_precision() == "highest"
    others[1 - first_out].go_on()
    assert switches() == before
    with block():
        pass
    assert switches() == before


@pytest.mark.parametrize("block", [exact_arithmetic, lambda: torch_threads(3)])
def test_exceptions_and_nesting(block):
    before = switches()
    with pytest.raises(LookupError), block(), block():
        raise LookupError
    assert switches() == before


def interrupted_again_and_again() -> bool:
    """Whether the switches are as before, in a process of its own."""
    before = switches()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    rng, interrupted = np.random.default_rng(0), 0
    for _ in range(200):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + rng.random() * 2e-4)
            for _ in range(3):
                with exact_arithmetic():
                    pass
            time.sleep(3e-4)
        except KeyboardInterrupt:
            interrupted += 1
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    gc.collect()
    # Whether gradients are wanted is restored by torch itself, which an interruption may prevent.
    return interrupted > 0 and switches()[:3] == before[:3]


def test_an_interruption_at_any_moment():
    pid = os.fork()
    if not pid:
        code = 9
        try:
            code = 0 if interrupted_again_and_again() else 7
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_modes_of_every_module_are_put_back():
    model = lively_network(tiny_config()).train()
    frozen = list(model.modules())[5]
    frozen.training = False
    modes = [module.training for module in model.modules()]
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    others = [Other(lambda: evaluating(model)) for _ in range(2)]
    for other in (*others, others[0]):
        other.go_on()
        assert not any(module.training for module in model.modules())
    others[1].go_on()
    assert [module.training for module in model.modules()] == modes
    images = random_input((3, model.config.in_channels, *model.config.image_size))
    accuracy(model, images, torch.zeros(3, dtype=torch.int64))
    sdt_lava.simulate(model, images.numpy())
    with pytest.raises(DataError, match="no empty axis"):
        accuracy(model, images[:, :1, :1], torch.zeros(3, dtype=torch.int64))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(statistics[name], value) for name, value in model.named_buffers())
    put_back = modes_of(model)
    model.eval()
    put_back()
    assert [module.training for module in model.modules()] == modes


def test_random_numbers_of_two_threads():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    found = []

    def draw():
        with random_numbers_apart(5):
            found.append([float(torch.rand(1)) for _ in range(200)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(numbers == found[0] for numbers in found)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("kernels", ["auto", "float32", "interpreter"])
@pytest.mark.parametrize("what", ["autocast", "inference mode", "float64", "deterministic"])
def test_what_the_program_has_switched_on_changes_no_result(what, kernels):
    rng = np.random.default_rng(1)
    graph = random_sdt_graph(rng, image=(2, 6, 6), channels=8)
    frames = random_frames(rng, graph, batch=3)
    want = run_reference(graph, frames, strict=False)
    with ExitStack() as stack:
        if what == "autocast":
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        elif what == "inference mode":
            stack.enter_context(torch.inference_mode())
        elif what == "float64":
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
        else:
            stack.callback(torch.use_deterministic_algorithms, False)
            torch.use_deterministic_algorithms(True)
        before = switches()
        engine = Engine(graph, strict=False, options=EngineOptions(kernels=kernels))
        found = engine.run(frames)
        assert switches() == before
    for values in (found, Engine(graph, strict=False).run(frames)):
        assert all(np.array_equal(values[name], want[name]) for name in values)


def test_a_child_does_not_inherit_what_another_thread_needs():
    other = Other(exact_arithmetic)
    other.go_on()
    pid = os.fork()
    if not pid:
        os._exit(0 if torch.get_float32_matmul_precision() == "medium" else 7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert torch.get_float32_matmul_precision() == "highest"
    other.go_on()
    assert torch.get_float32_matmul_precision() == "medium"


# In a process of its own, since the signals come at any moment of other changes, too.
INTERRUPTED = """
import random, signal
import torch
from sdt_lava.support.torch_state import exact_arithmetic

def interrupt(number, frame):
    if armed:
        raise InterruptedError

armed, moments = False, random.Random(0)
for _ in range(4000):
    signal.signal(signal.SIGALRM, interrupt)
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 120e-6))
        for _ in range(3):
            with exact_arithmetic():
                pass
    except InterruptedError:
        pass
    finally:
        armed = False
    assert torch.is_grad_enabled()
"""


def test_a_signal_at_any_moment_leaves_gradients_on():
    """With torch.no_grad alone, about one signal in a hundred left them off."""
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr[-2000:]
