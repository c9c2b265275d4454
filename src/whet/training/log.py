"""What a run tells: a line of JSON an event in log.jsonl, TensorBoard where asked for, and an observer for the screen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.output import write_whole
from whet.core.writing import writing


class Observer:
    """Is told what happens while a run goes on. This one says nothing; the command line shows a progress bar."""

    def phase(self, text: str) -> None:
        """A part of the work begins: 'reading 2,527 images'."""

    def note(self, text: str) -> None:
        """Something the person should know."""

    def steps(self, done: int, total: int) -> None:
        """Training is about to go on from `done` of `total` steps."""

    def step(self, record: dict[str, Any]) -> None:
        """One optimizer step was taken."""

    def validated(self, record: dict[str, Any]) -> None:
        """The model was validated."""

    def end(self) -> None:
        """Nothing more will be told."""


class RunLog:
    """Appends events to log.jsonl. Events of steps after `resume_step` are cut off first: they will be made again."""

    def __init__(self, path: Path, resume_step: int | None = None, tensorboard: Path | None = None) -> None:
        if resume_step is not None and path.is_file():
            _cut(path, resume_step)
        self._path = path
        self._handle = path.open("a", encoding="utf-8", buffering=1)  # who looks on sees every step
        self._board: Any = _tensorboard(tensorboard) if tensorboard is not None else None

    def write(self, event: str, **values: Any) -> dict[str, Any]:
        record = {"event": event, **values}
        with writing(self._path):
            self._handle.write(strict_json.dumps(record, indent=None) + "\n")
        if self._board is not None and "step" in values:
            for key, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{event}/{key}", value, values["step"])
        return record

    def sync(self) -> None:
        """Everything written so far is on disk when this returns. A checkpoint that relies on it is written after that."""
        with writing(self._path):
            os.fsync(self._handle.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Everything on disk; a second time does nothing."""
        if self._handle.closed:
            return
        with writing(self._path), self._handle:
            self._handle.flush()
            os.fsync(self._handle.fileno())
        if self._board is not None:
            self._board.close()


def _cut(path: Path, resume_step: int) -> None:
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:  # half a line: the process was killed while it wrote
            break
        if record.get("step", -1) <= resume_step:
            kept.append(line)
    write_whole(path, "".join(kept))


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RunError(
            "logging to TensorBoard needs the extra 'tensorboard': pip install 'whet[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))
