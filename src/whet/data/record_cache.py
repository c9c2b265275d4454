"""A cache of records of file contents in whet's cache folder, so that each content is processed only once."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

_MAX_BYTES = 1 << 30
_BATCH = 256


def looked_up(
    digests: Sequence[str],
    look: Callable[[int], tuple[np.ndarray, bool]],
    kept: RecordCache,
    threads: int,
    advance: Callable[[int], None],
) -> np.ndarray:
    """The records of all rows, (N,): cached ones by digest from `kept`, which is closed at the end, the others from look(row) ->
    (record, whether the content has this digest). `advance` is called with the number of newly finished rows."""
    found_N = np.zeros(len(digests), kept.dtype)
    unknown: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        unknown[digest].append(row)
    for digest, known in kept.read(digests):
        found_N[unknown.pop(digest)] = np.frombuffer(known, kept.dtype)[0]
    todo = sorted(row for rows in unknown.values() for row in rows)
    advance(len(digests) - len(todo))
    with ThreadPoolExecutor(threads, thread_name_prefix="whet-audit") as pool:
        for start in range(0, len(todo), _BATCH):
            rows = todo[start : start + _BATCH]
            fresh = []
            for row, (record, same) in zip(rows, pool.map(look, rows)):
                found_N[row] = record
                if same:
                    fresh.append((digests[row], record.tobytes()))
                advance(1)
            kept.write(fresh)
    kept.close()
    return found_N


def text_field(dtype: np.dtype, field: str, value: str) -> bytes:
    """The prefix of a text that fits into a field of a record."""
    return value.encode()[: dtype[field].itemsize].decode(errors="ignore").encode()


class RecordCache:
    """Records of one type by key, in an SQLite file. If the file cannot be used, nothing is cached."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path, self.dtype = path, dtype
        self._base: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE")
            # After a power failure SQLite detects a damaged file, and the records are computed again.
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.execute("CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, record BLOB NOT NULL)")
        except (sqlite3.Error, OSError):
            self._base = None

    def read(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        if self._base is None:
            return
        wanted = sorted(set(keys))
        try:
            for start in range(0, len(wanted), _BATCH):
                part = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(part))
                found = self._base.execute(f"SELECT key, record FROM records WHERE key IN ({marks})", part)
                for key, record in found:
                    if len(record) == self.dtype.itemsize:
                        yield key, record
        except sqlite3.Error:
            self._base = None

    def write(self, fresh: list[tuple[str, bytes]]) -> None:
        if self._base is None or not fresh:
            return
        try:
            with self._base:
                if self._path.stat().st_size >= _MAX_BYTES:  # delete the oldest records and reuse their space
                    self._base.execute(
                        "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY rowid LIMIT ?)",
                        (len(fresh),),
                    )
                self._base.executemany("INSERT OR IGNORE INTO records VALUES (?, ?)", fresh)
        except (sqlite3.Error, OSError):  # a full disk or a missing folder: continue without the cache
            self._base = None

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
