"""Share code between the models of Dense, Sparse and their delayed variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sdt_lava.backends.lava.processes.accelerated.prepared import PreparedModel
from sdt_lava.backends.lava.processes.ports import Receiver
from sdt_lava.backends.lava.processes.propagation import Propagate
from sdt_lava.backends.lava.processes.stored_weights import stored_weights
from sdt_lava.support.allocation import zeros

# Beyond this, NumPy's shifts, and therefore Lava's, no longer multiply by a power of two.
_LARGEST_SHIFT = 31
_LARGEST_DELAY = 63


class EventDrivenConnection(PreparedModel):
    """Model that sends the sums of the last step, then adds the weights of new events.

    Lava stores weights in the first step, in which the tables are also built. The buffer of sums is
    the variable ``a_buff``, as in Lava.
    """

    # Attributes that derived classes inherit from Lava's models.
    weights: Any
    a_buff: Any
    s_in: Any
    a_out: Any
    num_message_bits: Any
    weights_set: bool

    def _make_tables(self) -> None:
        raise NotImplementedError

    def _store_weights(self) -> None:
        """Convert the weights to the form in which Lava stores them in its first step."""
        self.weights = stored_weights(self.weights, self.proc_params)

    def _prepare(self) -> None:
        self.weight_exp = self.proc_params.get("weight_exp", 0)
        if not self.weights_set:
            self._store_weights()
            self.weights_set = True
        self._receive = Receiver(self.s_in)
        self._graded = self.num_message_bits.item() > 0
        self._is_covered = abs(self.weight_exp) <= _LARGEST_SHIFT
        self._make_tables()

    def _messages(self) -> Any:
        """Receive messages as int32, unless they are payloads of another type."""
        messages = self._receive()
        if self._graded or messages.dtype == np.int32:
            return messages
        return messages.astype(bool).astype(np.int32)

    def _shifted_by_lava(self, sums: Any) -> Any:
        """Scale sums as Lava does, for payloads that the tables do not cover."""
        if self.weight_exp > 0:
            return np.left_shift(sums, self.weight_exp)
        return np.right_shift(sums, -self.weight_exp)


class PlainConnection(EventDrivenConnection):
    """Connection with one step from event to activation."""

    _propagate: Propagate

    def run_spk(self) -> None:
        """Send the activation, receive events and compute the next activation."""
        self.prepare()
        if not self._is_covered:
            return super().run_spk()
        self.a_out.send(self.a_buff)
        messages = self._messages()
        if messages.dtype != np.int32:
            self.a_buff[:] = self._shifted_by_lava(self.weights.dot(messages))
            return
        self.a_buff.fill(0)
        self._propagate(messages, self.a_buff)


class DelayedConnection(EventDrivenConnection):
    """Connection with a buffer column for each future step; a synapse of delay d adds to column d.

    Lava moves the columns in every step. Here, ``a_buff`` is a window of a longer array, which
    advances by one column and returns to the start when it reaches the end.
    """

    delays: Any
    calc_act: Callable[[Any], Any]

    _by_delay: list[tuple[int, Propagate]]

    def _store_weights(self) -> None:
        super()._store_weights()
        if np.max(self.delays) > _LARGEST_DELAY:
            assert self.implements_process is not None
            raise ValueError(
                f"{self.implements_process.__name__} Process 'delays' expects values "
                f"between 0 and {_LARGEST_DELAY} for Loihi, got {self.delays}."
            )

    def run_spk(self) -> None:
        """Send the activation of this step, receive events and add them to future activations."""
        self.prepare()
        if not self._is_covered:
            return super().run_spk()
        self.a_out.send(self.a_buff[:, 0])
        messages = self._messages()
        if messages.dtype != np.int32:
            sums = self._shifted_by_lava(self.calc_act(messages))
            self._move_window()
            self.a_buff += sums
            return
        self._move_window()
        for delay, propagate in self._by_delay:
            propagate(messages, self._steps[self._first + delay])

    def _make_tables(self) -> None:
        outputs, columns = self.a_buff.shape
        # Steps come first, so that each column of the variable is contiguous.
        self._steps = zeros((2 * columns, outputs), np.int32)
        self._steps[:columns] = self.a_buff.T
        self._show_window(0)

    def _move_window(self) -> None:
        columns = self.a_buff.shape[1]
        first = self._first + 1
        if first + columns > len(self._steps):
            self._steps[: columns - 1] = self._steps[first:]
            self._steps[columns - 1 :] = 0
            first = 0
        else:
            self._steps[first + columns - 1] = 0
        self._show_window(first)

    def _show_window(self, first: int) -> None:
        window = self._steps[first : first + self.a_buff.shape[1]].T
        # Bypass Lava's __setattr__, which checks types and takes longer than the step itself.
        self.__dict__.update(_first=first, a_buff=window)
