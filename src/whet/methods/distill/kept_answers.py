"""A teacher's answers on disk, by the view it was shown. Runs with the same seed show the same views: a run that is resumed, and
every student of a paired comparison after the first, find them answered already."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_MAX_BYTES = 1 << 30


class KeptAnswers:
    """Answers (B, K) of one teacher in one file. Where that cannot be used, every answer is asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self._base = path, _opened(path)

    def answers(self, x_BCHW: Tensor, ask: Callable[[Tensor], Tensor]) -> Tensor:
        """What `ask` gives for these images, float32 (B, K). A batch of which any is new is asked for whole, so that an answer
        never depends on which others were known."""
        if self._base is None or x_BCHW.device.type != "cpu":
            return ask(x_BCHW)  # a GPU answers sooner than an image is copied from it
        rows = x_BCHW.detach().permute(0, 2, 3, 1).contiguous().numpy()
        keys = [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]
        known = self._read(keys)
        if None not in known:
            return torch.from_numpy(np.stack([np.frombuffer(answer, np.float32) for answer in known if answer]))
        found_BK = ask(x_BCHW)
        self._write(keys, found_BK)
        return found_BK

    def _read(self, keys: list[bytes]) -> list[bytes | None]:
        assert self._base is not None
        marks = ",".join("?" * len(keys))
        try:
            found = dict(self._base.execute(f"SELECT view, answer FROM answers WHERE view IN ({marks})", keys))
        except sqlite3.Error:
            self._base, found = None, {}
        return [found.get(key) for key in keys]

    def _write(self, keys: list[bytes], answer_BK: Tensor) -> None:
        if self._base is None:
            return
        rows = answer_BK.detach().float().contiguous().numpy()
        try:
            if self._path.stat().st_size < _MAX_BYTES:
                with self._base:
                    pairs = [(key, row.tobytes()) for key, row in zip(keys, rows)]
                    self._base.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", pairs)
        except (sqlite3.Error, OSError):  # a full disk, a folder that is gone: training goes on without
            self._base = None


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE")
        base.execute(
            "PRAGMA synchronous = OFF"
        )  # after a power cut sqlite finds a damaged file, and answers are asked for
        base.execute("CREATE TABLE IF NOT EXISTS answers (view BLOB PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID")
    except (sqlite3.Error, OSError):
        return None
    return base
