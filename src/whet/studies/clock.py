"""The time limit of a study and the time spent by this call and earlier calls."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from whet.core import strict_json
from whet.core.errors import RecipeError
from whet.core.language import Sentence


class TooLittleTime(RecipeError):
    """The budget is too short for one epoch of each run."""


@dataclass(frozen=True)
class Spent:
    """A phase of the work: its description, its number of runs and its time."""

    what: str
    runs: int
    seconds: float


class Clock:
    """Saved in a file, so that a resumed study knows the time spent."""

    def __init__(self, file: Path, limit: float | None, started: float) -> None:
        self._file, self._started, self.limit = file, started, limit
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self._before = float(kept.get("seconds", 0.0))
        self.parts = [Spent(**part) for part in kept.get("parts", [])]

    def spent(self) -> float:
        """Seconds spent, including earlier calls."""
        return self._before + time.monotonic() - self._started

    def left(self, share: float = 1.0) -> float:
        """Remaining seconds of this share of the limit; infinite without a limit."""
        return float("inf") if self.limit is None else share * self.limit - self.spent()

    def note(self, what: Sentence, runs: int, seconds: float) -> None:
        """Record a finished phase. A phase that an earlier call finished keeps its recorded time."""
        if all(part.what != what for part in self.parts):
            self.parts.append(Spent(what, runs, seconds))
        self.save()

    def save(self) -> None:
        strict_json.write(self._file, {"seconds": self.spent(), "parts": [asdict(part) for part in self.parts]})
