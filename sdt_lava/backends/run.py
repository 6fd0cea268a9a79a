"""One function for every back end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.engine import check_in_engine, run_engine, run_spikes
from sdt_lava.backends.integer_run import (
    IntegerRun,
    Progress,
    RunOptions,
    in_batches,
    tell,
    total_output,
    unpacked,
    what_runs,
)
from sdt_lava.backends.lava.presence import LAVA_BACKENDS, require_backend
from sdt_lava.backends.result import Result
from sdt_lava.datasets.objects import as_input
from sdt_lava.engine.options import EngineOptions, parse_memory
from sdt_lava.errors import ConfigError
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import enter, to_time_first, warn_of_steps
from sdt_lava.ir.numerics import IntArray, NeuronStates

if TYPE_CHECKING:
    from sdt_lava.backends.board import HardwareOptions
    from sdt_lava.backends.deployment import Deployment
    from sdt_lava.compiler.choose import Choice
    from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer


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
    is_graph = isinstance(net, Graph)
    name = backend or ("engine" if is_graph else "torch")
    allowed = (*BACKENDS, *HARDWARE_BACKENDS) if is_graph else ("torch",)
    if name not in allowed:
        remedy = "" if is_graph else "export the model first: sdt_lava.export(model, 'net.h5')"
        raise ConfigError("backend", repr(name), f"one of {allowed} for this network", remedy)
    if batch_size is not None and batch_size < 1:
        raise ConfigError("batch_size", str(batch_size), "at least 1")
    if models is not None and name not in LAVA_BACKENDS:
        raise ConfigError("models", f"{models!r} for back end {name!r}", f"{LAVA_BACKENDS}")
    require_backend(name)
    models = models or _DEFAULT_MODELS.get(name)
    engine = _engine_options(name, batch_size, memory=memory, threads=threads, device=device)
    options = RunOptions(
        strict, batch_size, timeout, on_progress, reset, models, engine=engine, count=count
    )
    started = time.perf_counter()
    if isinstance(net, Graph) and name in HARDWARE_BACKENDS:
        from sdt_lava.backends.board.backend import simulate_on_board

        return simulate_on_board(net, x, options, hardware, shortcut=shortcut, sdsa=sdsa)
    if not isinstance(net, Graph):
        _check_float_options(reset, shortcut, sdsa)
    takes = _takes(net)
    x = as_input(x)
    # What messages add up to does not depend on how many steps there are.
    if reset and not (isinstance(net, Graph) and net.message_names):
        warn_of_steps(x, *takes)
    if not isinstance(net, Graph):
        logits, spikes = _run_torch(net, x, options)
        return Result(name, logits, spikes, time.perf_counter() - started)
    is_compiled = name in COMPILED_BACKENDS or shortcut is not None or sdsa is not None
    packed = name == "engine" and not is_compiled
    run = run_spikes(net, x, options) if packed else None
    if run is None:
        net, frames = enter(net, x)
        if is_compiled:
            compiled_for = hardware if name == "machine" else None
            compiled = _compile(net, frames, options, compiled_for, shortcut=shortcut, sdsa=sdsa)
            options = replace(options, compiled=compiled)
            if strict:
                _check_registers(net, frames, options, _CHECKS.get(name, check_in_engine))
        run = replace(_INTEGER_BACKENDS[name](net, frames, options), entered=frames)
    result = Result(
        backend=name,
        logits=total_output(net, run.readout),
        spikes=run.spikes,
        messages=run.messages,
        seconds=time.perf_counter() - started,
        net=net,
        entered=run.entered,
        reset=reset,
        compiled=options.compiled,
        execution=run.execution,
        counted=run.counted,
    )
    return result.with_membranes()


def _takes(net: Graph | SpikeDrivenTransformer) -> tuple[tuple[int, ...], int]:
    """Return the shape of a frame and the number of steps that a network was made for."""
    if isinstance(net, Graph):
        return net.input_shape, net.timesteps
    if not hasattr(net, "config"):
        raise ConfigError(
            "network",
            f"an object of type {type(net).__name__}",
            "a network of load_network, or a model of load_model",
        )
    return (net.config.in_channels, *net.config.image_size), net.config.timesteps


def _engine_options(backend: str, batch_size: int | None, **given: Any) -> EngineOptions:
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen and backend != "engine":
        name, value = next(iter(chosen.items()))
        raise ConfigError(name, f"{value!r} for back end {backend!r}", "back end 'engine'")
    if "memory" in chosen:
        chosen["memory"] = parse_memory(chosen["memory"])
    return EngineOptions(batch_size=batch_size, **chosen)


def _check_float_options(reset: bool, shortcut: Choice | None, sdsa: Choice | None) -> None:
    given = {"reset": not reset, "shortcut": shortcut is not None, "sdsa": sdsa is not None}
    for option, is_given in given.items():
        if is_given:
            found = "an option that back end 'torch' does not have"
            raise ConfigError(option, found, f"one of {BACKENDS}")


def _compile(
    net: Graph,
    frames: IntArray,
    options: RunOptions,
    hardware: HardwareOptions | None,
    *,
    shortcut: Choice | None,
    sdsa: Choice | None,
) -> Deployment:
    from sdt_lava.backends.deployment import compile_network

    if hardware is not None:
        from sdt_lava.backends.board.compiling import compile_for

        return compile_for(net, hardware, frames.shape[0], options.reset, shortcut, sdsa)
    return compile_network(
        net,
        # Lava's own model of a convolution is slower than one of a matrix; ours is faster.
        convolutions="auto" if options.models in (None, "lava") else "conv",
        timesteps=frames.shape[0],
        reset=options.reset,
        shortcut="relay" if shortcut is None else shortcut,
        sdsa="and" if sdsa is None else sdsa,
    )


def _run_reference(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    from sdt_lava.ir.reference import run_reference

    graph, wanted = what_runs(net, options)

    def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
        # What is compiled has been looked at.
        strict = options.strict and options.compiled is None
        values = run_reference(graph, part, strict=strict, states=states)
        return {name: values[name] for name in wanted}

    return unpacked(net, in_batches(graph, frames, run, options), options)


def _run_machine(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    from sdt_lava.backends.machine.run import run_machine, suitable_lanes

    compiled, samples = options.compiled, frames.shape[1]
    assert compiled is not None
    # A stream is one sequence, whatever is asked for.
    lanes = options.batch_size or suitable_lanes(compiled.graph, samples) if options.reset else 1
    run = run_machine(
        compiled,
        frames,
        names=compiled.observed,
        lanes=lanes,
        on_progress=lambda done: tell(options, done, frames),
    )
    return unpacked(net, run.outputs, options)


def _run_lava(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    return _run_on_lava(net, frames, options, "processes")


def _run_lava_in_process(net: Graph, frames: IntArray, options: RunOptions) -> IntegerRun:
    return _run_on_lava(net, frames, options, "in-process")


def _run_on_lava(net: Graph, frames: IntArray, options: RunOptions, executor: str) -> IntegerRun:
    from sdt_lava.backends.lava.run import run_lava

    assert options.compiled is not None and options.models is not None
    outputs, execution = run_lava(
        options.compiled,
        frames,
        models=options.models,
        executor=executor,
        timeout=options.timeout,
        on_progress=options.on_progress,
    )
    return unpacked(net, outputs, options, execution)


def _check_registers(
    net: Graph, frames: IntArray, options: RunOptions, check: Callable[..., None]
) -> None:
    """Look at all that is not proved, in the network itself.

    Its forms have other nodes, and Lava wraps without a word.
    """
    from sdt_lava.ir.proof import is_proved

    steps, samples = frames.shape[:2]
    if not is_proved(net, steps if options.reset else steps * samples):
        check(net, frames, options)


def _check_in_reference(net: Graph, frames: IntArray, options: RunOptions) -> None:
    from sdt_lava.ir.reference import run_reference

    def run(part: IntArray, states: NeuronStates | None = None) -> dict[str, IntArray]:
        run_reference(net, part, states=states)
        return {}

    in_batches(net, frames, run, replace(options, batch_size=None, on_progress=None))


_INTEGER_BACKENDS: dict[str, Callable[[Graph, IntArray, RunOptions], IntegerRun]] = {
    "engine": run_engine,
    "reference": _run_reference,
    "machine": _run_machine,
    "lava": _run_lava,
    "lava-inprocess": _run_lava_in_process,
}
BACKENDS = tuple(_INTEGER_BACKENDS)
# Back ends that need more than a computer.
HARDWARE_BACKENDS = ("loihi2",)
# ProcessModels of those that need Lava. 'lava' is the judge of all the others, and is therefore
# nothing but Lava; in one process nobody waits for it.
_DEFAULT_MODELS = {"lava": "lava", "lava-inprocess": "accelerated"}
# Those that always run a compiled network.
COMPILED_BACKENDS = ("machine", *LAVA_BACKENDS)
# What looks whether values fit their registers; the machine does without torch.
_CHECKS: dict[str, Callable[[Graph, IntArray, RunOptions], None]] = {"machine": _check_in_reference}


def _run_torch(
    model: SpikeDrivenTransformer, x: np.ndarray, options: RunOptions
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    import torch

    from sdt_lava.support.torch_state import evaluating, exact_arithmetic

    to_time_first(x, *_takes(model))
    # The model itself repeats static images. torch takes no negative steps, no foreign orders and
    # no arrays that it may not write to.
    values = np.require(x, np.float32, ["C", "A", "W"])
    size = options.batch_size or len(values)
    logits, spikes = [], []
    with evaluating(model):
        for start in range(0, len(values), size):
            record: dict[str, torch.Tensor] = {}
            with exact_arithmetic():
                part = torch.from_numpy(values[start : start + size])
                logits.append(model(part, record=record).numpy())
            spikes.append({name: s.to(torch.uint8).numpy() for name, s in record.items()})
    joined = {name: np.concatenate([p[name] for p in spikes], axis=1) for name in spikes[0]}
    return np.concatenate(logits), joined
