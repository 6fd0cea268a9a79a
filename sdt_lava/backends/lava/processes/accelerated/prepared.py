"""Provide a base for models that prepare data from variables and update it on changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel


class PreparedModel(PyLoihiProcessModel):
    """Base class of the accelerated models.

    Lava's models read their variables in every step. Variables change if the program sets them,
    which calls `on_var_update`, or through ports of other processes, which set an attribute.
    """

    _is_prepared = False

    def on_var_update(self) -> None:
        """Schedule a new preparation from all variables before the next step."""
        self.__dict__["_is_prepared"] = False

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, and schedule a new preparation if it is a variable."""
        super().__setattr__(name, value)
        if name in self.__dict__.get("var_id_to_var_map", {}).values():
            self.on_var_update()

    def _set_var(self) -> None:
        """Set a variable as Lava does in a forked process, element by element in memory order."""
        for name in self.var_id_to_var_map.values():
            value = getattr(self, name)
            # Our variables may be transposed; all views are rebuilt before the next step.
            if isinstance(value, np.ndarray):
                self.__dict__[name] = np.asarray(value, order="C")
        super()._set_var()

    def prepare(self) -> None:
        """Call `_prepare` if variables have changed."""
        if not self._is_prepared:
            self._prepare()
            # Set this last, since `_prepare` may set variables itself.
            self.__dict__["_is_prepared"] = True

    def _prepare(self) -> None:
        raise NotImplementedError
