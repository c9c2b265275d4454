"""Content hashes of files, cached until a file changes.

A file counts as unchanged while its path, device, inode, size, and its times of modification and status change, in nanoseconds, are
the same. Its hash is cached only if these times are some seconds in the past, because within one clock tick a file can change again
and keep the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from whet.data.loader import why
from whet.data.record_cache import RecordCache
from whet.data.store import cache_folder, digest_of

_DIGEST = np.dtype("S32")
_SETTLED_SECONDS = 5.0  # more than the coarsest clock of a file system (2 s)


def file_digests(paths: Sequence[str], threads: int) -> list[tuple[str, str]]:
    """(the hash of each file's bytes, "") or ("", the reason: it cannot be opened, or is empty)."""
    cache = RecordCache(cache_folder("digests") / "digests.sqlite", _DIGEST)
    different = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(threads, thread_name_prefix="whet-digest") as pool:
        states = dict(zip(different, pool.map(_state, different, chunksize=64)))
        known = dict(cache.read(key for key, _ in states.values() if key))
        todo = [path for path in different if states[path][0] not in known]
        found = {path: (known[key].decode(), "") for path, (key, _) in states.items() if key in known}
        found |= zip(todo, pool.map(_digest, todo, chunksize=64))
    now = time.time()
    fresh = [
        (states[path][0], found[path][0].encode())
        for path in todo
        if found[path][0] and states[path] == _state(path) and now - states[path][1] > _SETTLED_SECONDS
    ]
    cache.write(fresh)
    cache.close()
    return [found[path] for path in paths]


def _state(path: str) -> tuple[str, float]:
    """(a key that changes whenever the file does, "" for a missing file; the time of the last change in seconds)."""
    try:
        state = os.stat(path)
    except OSError:
        return "", 0.0
    parts = [os.path.abspath(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    return digest_of(repr(parts).encode("utf-8", "surrogateescape")), max(state.st_mtime, state.st_ctime)


def _digest(path: str) -> tuple[str, str]:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return "", why(error)
    return (digest_of(data), "") if data else ("", "empty file")
