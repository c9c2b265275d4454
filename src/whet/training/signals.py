"""Handling of Ctrl-C and SIGTERM: the first signal requests training to save and stop, the second stops immediately."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(SystemExit):
    """Stopped by a signal after saving. The exit code is 128 plus the signal number."""


class Interrupts:
    """`received` is the number of the received signal. While `gentle`, the training loop handles it; otherwise work stops
    immediately."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.gentle = False

    def __call__(self) -> bool:
        return self.received is not None

    def exit_code(self) -> int:
        return 128 + (self.received or signal.SIGTERM)

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Catch SIGINT and SIGTERM within the block. Works only in the main thread, a restriction of Python."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if self.received is not None:
                os._exit(128 + number)
            self.received = number
            if not self.gentle:
                raise Interrupted(128 + number)

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Within the block, a signal only sets `received`; the work checks it and saves first."""
        self.gentle = True
        try:
            yield
        finally:
            self.gentle = False
