"""The back end 'loihi2' of `simulate`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from sdt_lava.backends.board.options import HardwareOptions
from sdt_lava.backends.board.run import compile_for_run, require_hardware, run_on_board
from sdt_lava.backends.host import network_outputs, with_readout
from sdt_lava.backends.result import Result
from sdt_lava.datasets.objects import as_input
from sdt_lava.ir import Graph
from sdt_lava.ir.encoding import enter

if TYPE_CHECKING:
    from sdt_lava.backends.integer_run import RunOptions
    from sdt_lava.compiler.choose import Choice


def simulate_on_board(
    net: Graph,
    x: Any,
    options: RunOptions,
    hardware: HardwareOptions | None = None,
    *,
    shortcut: Choice | None = None,
    sdsa: Choice | None = None,
) -> Result:
    """Run a network on a board and return what came back.

    The engine runs the same input first: it finds sums that would overflow, and its ranges are the
    evidence for design rules that the weights alone do not prove.

    Parameters
    ----------
    net : Graph
        Integer graph.
    x : array_like
        Input, as :func:`simulate` takes it.
    options : RunOptions
        What all back ends may be told.
    hardware : HardwareOptions, optional
        What only this one is told.
    shortcut, sdsa : str or mapping of str to str, optional
        As :func:`sdt_lava.compile` takes them.

    Raises
    ------
    HardwareUnavailableError
        If there is no extension, or no board that can be reached.
    CompileError
        If the network breaks a design rule.
    """
    from sdt_lava.backends.engine import engine_extremes
    from sdt_lava.backends.integer_run import total_output

    chosen = hardware or HardwareOptions()
    require_hardware(chosen.target)
    started = time.perf_counter()
    net, frames = enter(net, as_input(x))
    extremes = engine_extremes(net, frames, options)
    compiled = compile_for_run(net, frames, chosen, options.reset, extremes, shortcut, sdsa)
    run = run_on_board(compiled, frames, chosen, options.timeout)
    complete = network_outputs if chosen.record == "all" else with_readout
    outputs = complete(compiled, run.outputs)
    lifs = [name for name in net.lif_names if name in outputs]
    result = Result(
        backend="loihi2",
        logits=total_output(net, outputs[net.output_name]),
        spikes={name: outputs[name].astype(np.uint8, copy=False) for name in lifs},
        messages={
            name: outputs[name].astype(np.int32, copy=False)
            for name in net.message_names
            if name in outputs
        },
        seconds=time.perf_counter() - started,
        net=net,
        entered=frames,
        reset=options.reset,
        compiled=compiled,
        measured=run.measured,
    )
    return result.with_membranes()
