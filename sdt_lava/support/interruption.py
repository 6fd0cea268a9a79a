"""Exceptions of signal handlers, kept back while something must not be left half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class Interruption:
    """Run signal handlers as usual inside the block, and raise what they raise at its end.

    Python calls a handler between any two instructions of the main thread, and Ctrl-C twice calls
    it twice: no ``finally`` is safe from that. Inside the block nothing is raised; whoever works
    there looks at `happened` and comes to an end. Handlers that raise nothing are not delayed.

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
        """Whether a handler has raised something."""
        return bool(self._errors)

    def __enter__(self) -> Interruption:
        # Outside the main thread no handler is called.
        if threading.current_thread() is not threading.main_thread():
            return self
        try:
            for number in range(1, signal.NSIG):
                handler = signal.getsignal(number)
                if callable(handler):
                    kept = self._keeping(handler)
                    self._replaced[number] = handler, kept
                    signal.signal(number, kept)
        except BaseException:  # of a handler that was not replaced yet
            self._put_back()
            raise
        # Until here the new ones have passed on what they were called for.
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
        for number, (handler, kept) in self._replaced.items():
            # A handler may have installed another one, to end the program at the second Ctrl-C.
            if signal.getsignal(number) is kept:
                signal.signal(number, handler)

    def _keeping(self, handler: Handler) -> Handler:
        def handle(number: int, frame: FrameType | None) -> None:
            # A child that another thread has forked meanwhile takes over the handler.
            if not self._is_active or os.getpid() != self._pid:
                handler(number, frame)
                return
            try:
                handler(number, frame)
            except BaseException as error:
                self._errors.append(error)

        return handle
