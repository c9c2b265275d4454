"""The time of a study: how much there is, what was spent, by this call and those before it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from whet.core import strict_json
from whet.core.errors import RecipeError


class TooLittleTime(RecipeError):
    """Not even one epoch of each of the runs fits the budget."""


@dataclass(frozen=True)
class Spent:
    """A part of the work: what was done, how many runs it took, and how long."""

    what: str
    runs: int
    seconds: float


class Clock:
    """Kept in a file, so that a study that goes on later knows what it spent."""

    def __init__(self, file: Path, limit: float | None, started: float) -> None:
        self._file, self._started, self.limit = file, started, limit
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self._before = float(kept.get("seconds", 0.0))
        self.parts = [Spent(**part) for part in kept.get("parts", [])]

    def spent(self) -> float:
        """Seconds, those of earlier calls included."""
        return self._before + time.monotonic() - self._started

    def left(self, share: float = 1.0) -> float:
        """Seconds of this share of the limit that are not spent; without a limit there is no end of them."""
        return float("inf") if self.limit is None else share * self.limit - self.spent()

    def note(self, what: str, runs: int, seconds: float) -> None:
        """A part of the work is over; one that an earlier call has done takes no time now, and keeps what it took then."""
        if all(part.what != what for part in self.parts):
            self.parts.append(Spent(what, runs, seconds))
        self.save()

    def save(self) -> None:
        strict_json.write(self._file, {"seconds": self.spent(), "parts": [asdict(part) for part in self.parts]})
