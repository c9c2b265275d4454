"""The log of a run: one JSON line per event in log.jsonl, and an observer for progress."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from whet.core import strict_json
from whet.core.language import Sentence
from whet.core.output import write_whole
from whet.core.writing import writing
from whet.tracking import Trackers


class Observer:
    """Receives the events of a run. This class ignores them; the command line shows a progress bar."""

    def phase(self, text: Sentence) -> None:
        """A phase starts, for example 'reading 2,527 images'."""

    def note(self, text: Sentence) -> None:
        """A note for the user."""

    def steps(self, done: int, total: int) -> None:
        """Training starts or resumes at step `done` of `total`."""

    def step(self, record: dict[str, Any]) -> None:
        """One optimizer step is done."""

    def validated(self, record: dict[str, Any]) -> None:
        """The model was validated."""

    def end(self) -> None:
        """No more events follow."""


class RunLog:
    """Appends events to log.jsonl. Events of steps after `resume_step` are removed first, because the steps are repeated."""

    def __init__(self, path: Path, resume_step: int | None = None, trackers: Trackers | None = None) -> None:
        if resume_step is not None and path.is_file():
            _cut(path, resume_step)
        self._path = path
        self._handle = path.open("a", encoding="utf-8", buffering=1)  # line-buffered, so that every step is visible
        self._trackers = trackers or Trackers()

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        record = {"event": event, **values}
        with writing(self._path):
            self._handle.write(strict_json.dumps(record, indent=None) + "\n")
        self._trackers.log(event, values)
        return record

    def sync(self) -> None:
        """Sync the log to disk. A checkpoint is written only after that."""
        with writing(self._path):
            os.fsync(self._handle.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Sync and close the log; a second call does nothing."""
        if self._handle.closed:
            return
        with writing(self._path), self._handle:
            self._handle.flush()
            os.fsync(self._handle.fileno())


def _cut(path: Path, resume_step: int) -> None:
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:  # an incomplete line: the process was killed while writing
            break
        if record.get("step", -1) <= resume_step:
            kept.append(line)
    write_whole(path, "".join(kept))
