"""Simulate networks on any back end with a single function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdt_lava.backends.backend import backend_for, register
from sdt_lava.backends.board.backend import BoardBackend
from sdt_lava.backends.engine import EngineBackend
from sdt_lava.backends.lava.backend import LavaBackend, LavaInProcessBackend
from sdt_lava.backends.machine.backend import MachineBackend
from sdt_lava.backends.options import Progress, RunOptions
from sdt_lava.backends.reference import ReferenceBackend
from sdt_lava.backends.result import Result
from sdt_lava.backends.torch import TorchBackend
from sdt_lava.ir import Graph

if TYPE_CHECKING:
    from sdt_lava.backends.board import HardwareOptions
    from sdt_lava.compiler.choose import Choice
    from sdt_lava.families.model import FamilyModel

# Back ends in the order of listings. The first one for a kind of network is its default.
for _backend in (
    EngineBackend(),
    ReferenceBackend(),
    MachineBackend(),
    LavaBackend(),
    LavaInProcessBackend(),
    BoardBackend(),
    TorchBackend(),
):
    register(_backend)


def simulate(
    net: Graph | FamilyModel,
    x: Any,
    backend: str | None = None,
    *,
    strict: bool = True,
    batch_size: int | None = None,
    timeout: float | None = None,
    on_progress: Progress | None = None,
    reset: bool = True,
    models: str | None = None,
    shortcut: Choice | None = None,
    sdsa: Choice | None = None,
    hardware: HardwareOptions | None = None,
    memory: int | str | None = None,
    threads: int | None = None,
    device: str | None = None,
    count: bool = False,
) -> Result:
    """Run a network on an input.

    Parameters
    ----------
    net : Graph or FamilyModel
        An integer graph, or a float model (backend 'torch').
    x : array_like, Dataset, SampleSource or torch Dataset
        Input ``(B, T, *shape)``, or ``(B, *shape)``, which is presented at each of the network's T
        steps. For a data set, all samples are run.
    backend : str, optional
        'engine' (default), 'reference', 'machine', 'lava', 'lava-inprocess' or 'loihi2' for a
        graph; 'torch' for a model. 'machine' runs the compiled network by machine steps in NumPy,
        as Lava does but without Lava. 'lava' runs an operating system process for each Lava
        process, and 'lava-inprocess' runs all of them in this process.
    strict : bool
        Whether to raise an error that names the first value that does not fit its register
        (:mod:`sdt_lava.ir.registers`). The error is the same for every back end, form and lowering.
        Back ends for compiled networks first check the input with the engine ('machine' with the
        reference), unless the weights prove that all values fit. If False, values wrap and saturate
        as in Lava on every back end.
    batch_size : int, optional
        For 'engine', 'reference' and 'torch', number of samples at once. For 'machine', number of
        machines in parallel, each with its share of the samples.
    timeout : float, optional
        For Lava and 'loihi2', limit in seconds for starting and for running.
    on_progress : callable, optional
        Function called with the units of work done and in total.
    reset : bool
        Whether every sample starts from rest. Otherwise, the samples form one continuous stream of
        ``B * T`` steps, and neurons keep their state between them (not for 'torch').
    models : {'lava', 'accelerated', 'fused-blocks', 'fused'}, optional
        ProcessModels for Lava: its own (default of 'lava'), compiled models of the same Processes
        (default of 'lava-inprocess'), or one model for each block or for the whole network.
    shortcut, sdsa : str or mapping of str to str, optional
        Lowering of membrane shortcuts and SDSA, as for :func:`sdt_lava.compile`. The defaults for
        Lava and 'machine' are 'relay' and 'and'. If either is given, 'engine' and 'reference' run
        the compiled graph instead of the integer graph.
    hardware : HardwareOptions, optional
        For 'loihi2', the board, what to record and what to measure. For 'machine', the `target`,
        `board` and `convolutions` for compiling instead of those of Lava's simulator.
    memory : int or str, optional
        For 'engine', limit on the memory of a batch's arrays and the kernels' tables, in bytes or
        as text; by default ``'4GiB'``. It determines the number of samples per batch.
    threads : int, optional
        For 'engine', number of threads; by default that of torch.
    device : {'cpu', 'cuda'}, optional
        For 'engine', device that runs the network.
    count : bool
        For 'engine', whether to count events during the run, so that ``result.counts`` is available
        at once. If False or unsupported, events are counted on demand.

    Returns
    -------
    Result
        The result, with the same spikes on every integer back end.

    Raises
    ------
    DataError
        If the input does not fit the network.
    ConfigError
        If the back end does not exist or does not run this kind of network.
    NumericOverflowError
        If ``strict`` is True and a value does not fit its register.
    LavaRuntimeError
        If a Lava process fails.
    LavaUnavailableError
        If the back end needs Lava and it is not installed.
    HardwareUnavailableError
        For 'loihi2', if there is no board or no software that drives it.
    """
    selected_backend = backend_for(net, backend)
    options = RunOptions(
        strict=strict,
        batch_size=batch_size,
        timeout=timeout,
        on_progress=on_progress,
        reset=reset,
        models=models,
        shortcut=shortcut,
        sdsa=sdsa,
        hardware=hardware,
        memory=memory,
        threads=threads,
        device=device,
        count=count,
    )
    selected_backend.check(options)
    return selected_backend.simulate(net, x, options)
