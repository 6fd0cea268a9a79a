"""Models that derive something from their variables once, and again when a variable changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel


class PreparedModel(PyLoihiProcessModel):
    """Base of the accelerated models.

    Lava's models look at their variables at every step. Variables are set by the program, which
    calls `on_var_update`, and through ports of other processes, which set an attribute.
    """

    _is_prepared = False

    def on_var_update(self) -> None:
        """Look at all variables again before the next step."""
        self.__dict__["_is_prepared"] = False

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, and notice if it is a variable."""
        super().__setattr__(name, value)
        if name in self.__dict__.get("var_id_to_var_map", {}).values():
            self.on_var_update()

    def _set_var(self) -> None:
        """Set a variable, as Lava does in a forked process: elements in the order of memory."""
        for name in self.var_id_to_var_map.values():
            value = getattr(self, name)
            # Ours may be transposed; all views of them are made again before the next step.
            if isinstance(value, np.ndarray):
                self.__dict__[name] = np.asarray(value, order="C")
        super()._set_var()

    def prepare(self) -> None:
        """Call `_prepare` if it is time to."""
        if not self._is_prepared:
            self._prepare()
            # Last, as it may set variables itself.
            self.__dict__["_is_prepared"] = True

    def _prepare(self) -> None:
        raise NotImplementedError
