"""Ctrl-C and termination: the first asks training to save and end, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(SystemExit):
    """Ended by a signal, after saving; the exit code is 128 plus the signal's number."""


class Interrupts:
    """`asked` is the signal's number once one came. While `gentle`, the loop is trusted to notice; else work ends at once."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self.gentle = False

    def __call__(self) -> bool:
        return self.asked is not None

    def exit_code(self) -> int:
        return 128 + (self.asked or signal.SIGTERM)

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Catch SIGINT and SIGTERM within the block (from the main thread only; elsewhere Python cannot)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if self.asked is not None:
                os._exit(128 + number)
            self.asked = number
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
        """Within the block a signal only sets `asked`: the work looks for it itself and saves first."""
        self.gentle = True
        try:
            yield
        finally:
            self.gentle = False
