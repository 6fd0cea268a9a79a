"""Prepare the arguments of the kernels that compute a layer's neurons from its sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.engine.plan.neurons import halves_exactly, joint_form, kernel_parameters
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.engine.plan.workspace import Workspace
from sdt_lava.kernels.lif import FORMS
from sdt_lava.kernels.neurons import FireArguments
from sdt_lava.support.allocation import placed


class Firing:
    """Kernel arguments that turn a layer's sums into outputs in one workspace, by worker."""

    def __init__(self, targets: Targets, shift: Any, work: Workspace) -> None:
        layout = targets.layout
        state = work.state(targets)
        form = _form(targets, shift, work, keeps_state=state is not None)
        self.parameters = placed(kernel_parameters(shift, targets.neurons, layout, form))
        self._extremes = work.new_extremes(targets) if FORMS[form].states > 1 else work.waste
        self.arguments = [
            self._of_worker(targets, work, form, state, worker) for worker in range(len(work.waste))
        ]

    def _of_worker(
        self, targets: Targets, work: Workspace, form: str, state: Any, worker: int
    ) -> FireArguments:
        waste = work.waste[worker]
        stream = work.zeros if targets.stream is None else work.arrays[targets.stream.name]
        current, spikes = (
            waste if buffer is None else work.arrays[buffer.name]
            for buffer in (targets.current, targets.spikes)
        )
        return FireArguments(
            neuron=self.parameters.ctypes.data,
            stream=stream.ctypes.data,
            current=current.ctypes.data,
            words=spikes.ctypes.data,
            before=(work.zeros if state is None else state).ctypes.data,
            after=(waste if state is None else state).ctypes.data,
            extremes=self._extremes[worker].ctypes.data,
            steps=work.steps,
            columns=targets.layout.width,
            chunks=targets.layout.words,
            halves=targets.halves,
            reads=int(targets.stream is not None),
            writes=int(targets.current is not None),
            fires=int(targets.spikes is not None),
            keeps=int(state is not None),
            form=list(FORMS).index(form),
        )


def _form(targets: Targets, shift: Any, work: Workspace, *, keeps_state: bool) -> str:
    """Return the cheapest exact form of a layer's neurons."""
    neurons = targets.neurons
    if neurons is None:
        return "proved"
    if keeps_state:
        # Only checked forms load and store a state.
        return joint_form(neurons.form, "checked")
    has_currents = targets.stream is not None or targets.current is not None
    if neurons.form != "proved" or has_currents or np.any(np.asarray(shift) < 0):
        return neurons.form
    return "bare" if halves_exactly(shift, neurons, work.steps) else "proved"
