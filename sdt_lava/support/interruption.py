"""Defer exceptions raised by signal handlers until a critical section ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class Interruption:
    """Defer the exceptions that signal handlers raise inside the block until the block ends.

    Python may call a handler between any two instructions of the main thread, and a second Ctrl-C
    calls it again, so even a ``finally`` clause can be interrupted. Inside this block, handlers run
    at once but their exceptions are stored; the code in the block polls `happened` and stops early.
    Handlers that raise nothing behave as usual.

    Examples
    --------
    >>> with Interruption() as interruption:
    ...     while not interruption.happened:
    ...         break
    """

    def __init__(self) -> None:
        self._errors: list[BaseException] = []
        self._replaced: dict[int, tuple[Handler, Handler]] = {}
        self._is_active = False
        self._pid = os.getpid()

    @property
    def happened(self) -> bool:
        """Whether a handler has raised an exception."""
        return bool(self._errors)

    def __enter__(self) -> Interruption:
        # Python calls handlers in the main thread only.
        if threading.current_thread() is not threading.main_thread():
            return self
        try:
            for number in range(1, signal.NSIG):
                handler = signal.getsignal(number)
                if callable(handler):
                    deferring_handler = self._keeping(handler)
                    self._replaced[number] = handler, deferring_handler
                    signal.signal(number, deferring_handler)
        except BaseException:  # raised by a handler that is not replaced yet
            self._put_back()
            raise
        # Before this point, the new handlers raise exceptions like the original ones.
        self._is_active = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_active = False
        self._put_back()
        if self._errors:
            raise self._errors[0]

    def _put_back(self) -> None:
        for number, (handler, deferring_handler) in self._replaced.items():
            # A handler may have installed another one, to end the program at the second Ctrl-C.
            if signal.getsignal(number) is deferring_handler:
                signal.signal(number, handler)

    def _keeping(self, handler: Handler) -> Handler:
        def handle(number: int, frame: FrameType | None) -> None:
            # A child that another thread forks in the meantime inherits this handler.
            if not self._is_active or os.getpid() != self._pid:
                handler(number, frame)
                return
            try:
                handler(number, frame)
            except BaseException as error:
                self._errors.append(error)

        return handle
