"""What becomes of a layer's sums: the arguments of the kernels that compute its neurons."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdt_lava.engine.plan.neurons import halves_exactly, joint_form, kernel_parameters
from sdt_lava.engine.plan.targets import Targets
from sdt_lava.engine.plan.workspace import Workspace
from sdt_lava.kernels.lif import FORMS
from sdt_lava.support.allocation import placed


class Firing:
    """The arguments of the kernels that say what becomes of a layer's sums, in one workspace."""

    def __init__(self, targets: Targets, shift: Any, work: Workspace) -> None:
        layout = targets.layout
        state = work.state(targets)
        form = _form(targets, shift, work, keeps_state=state is not None)
        self.parameters = placed(kernel_parameters(shift, targets.neurons, layout, form))
        self.neuron = self.parameters.ctypes.data
        self._extremes = work.new_extremes(targets) if FORMS[form].states > 1 else work.waste
        self.extremes = [extremes.ctypes.data for extremes in self._extremes]
        self.targets = []
        for waste in work.waste:
            stream = work.zeros if targets.stream is None else work.arrays[targets.stream.name]
            written = [
                waste if buffer is None else work.arrays[buffer.name]
                for buffer in (targets.current, targets.spikes)
            ]
            states = (work.zeros, waste) if state is None else (state, state)
            arrays = (stream, *written, *states)
            self.targets.append(tuple(array.ctypes.data for array in arrays))
        self.sizes = (work.steps, layout.width, layout.words, targets.halves)
        self.options = (
            int(targets.stream is not None),
            int(targets.current is not None),
            int(targets.spikes is not None),
            int(state is not None),
            list(FORMS).index(form),
        )


def _form(targets: Targets, shift: Any, work: Workspace, *, keeps_state: bool) -> str:
    """Return the cheapest exact form of a layer's neurons."""
    neurons = targets.neurons
    if neurons is None:
        return "proved"
    if keeps_state:
        # Only checked neurons load and store a state.
        return joint_form(neurons.form, "checked")
    has_currents = targets.stream is not None or targets.current is not None
    if neurons.form != "proved" or has_currents or np.any(np.asarray(shift) < 0):
        return neurons.form
    return "bare" if halves_exactly(shift, neurons, work.steps) else "proved"
