"""One function for every back end."""

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
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer

# In the order in which they are listed; the first one of a kind of network is its default.
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
    net: Graph | SpikeDrivenTransformer,
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
    """Run a network on some input.

    Parameters
    ----------
    net : Graph or SpikeDrivenTransformer
        An integer graph, or the float model (backend 'torch').
    x : array_like, Dataset, SampleSource or torch Dataset
        ``(B, *shape)``, presented at each of the network's T steps, or ``(B, T, *shape)``; of a
        data set, all samples.
    backend : str, optional
        'engine', 'reference', 'machine', 'lava', 'lava-inprocess' or 'loihi2' for a graph, by
        default 'engine'; 'torch' for a model. 'machine' runs the compiled network step by machine
        step in NumPy, as Lava does, without Lava. 'lava' runs an operating system process for each
        Lava process, 'lava-inprocess' all of them in this one.
    strict : bool
        Raise when a value does not fit its register (:mod:`sdt_lava.ir.registers`), naming the
        first one: the same for every back end, form and lowering. What runs a compiled network has
        the engine (for 'machine' the reference) look at this input first, if the weights do not
        prove that everything fits. Otherwise values wrap and saturate as in Lava, everywhere.
    batch_size : int, optional
        'engine', 'reference' and 'torch': samples at once. 'machine': machines that run side by
        side, each with its share of the samples.
    timeout : float, optional
        On Lava and 'loihi2': limit in seconds for starting and for running.
    on_progress : callable, optional
        Called with units of work done and in total.
    reset : bool
        Start every sample from rest. Otherwise the samples are one continuous stream of
        ``B * T`` steps, and neurons keep their state from one to the next (not 'torch').
    models : {'lava', 'accelerated', 'fused-blocks', 'fused'}, optional
        On Lava: its own ProcessModels (default of 'lava'), compiled ones of the same Processes
        (default of 'lava-inprocess'), or one for each block or for the whole network.
    shortcut, sdsa : str or mapping of str to str, optional
        How membrane shortcuts and SDSA are lowered, as :func:`sdt_lava.compile` takes it. On Lava
        and 'machine': 'relay' and 'and' by default. With one of them, 'engine' and 'reference' run
        the compiled graph instead of the integer graph.
    hardware : HardwareOptions, optional
        'loihi2': board, what to record and what to measure. 'machine': `target`, `board` and
        `convolutions` that the network is compiled for, instead of Lava's simulator.
    memory : int or str, optional
        'engine': what a batch's arrays and the kernels' tables may take, in bytes or as ``'4GiB'``
        (the default); decides how many samples run at once.
    threads : int, optional
        'engine': threads; by default as many as torch uses.
    device : {'cpu', 'cuda'}, optional
        'engine': where it runs.
    count : bool
        'engine': count events during the run, so that ``result.counts`` is there at once.
        Otherwise, and where that cannot be, they are counted when somebody asks.

    Returns
    -------
    Result
        The same spikes from every integer back end.

    Raises
    ------
    DataError
        If the input does not fit.
    ConfigError
        If the back end does not exist or cannot run this kind of network.
    NumericOverflowError
        If ``strict`` and a value does not fit its register.
    LavaRuntimeError
        If a Lava process fails.
    LavaUnavailableError
        If Lava is to run it and is not installed.
    HardwareUnavailableError
        'loihi2': if there is no board, or no software that drives it.
    """
    chosen = backend_for(net, backend)
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
    chosen.check(options)
    return chosen.simulate(net, x, options)
