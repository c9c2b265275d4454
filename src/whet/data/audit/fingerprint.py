"""One look at every picture: each file is decoded once, reduced, and what the checks need to know of it is kept.

A fingerprint is one record of some 7 KB. Those of known contents lie in whet's cache folder, so that a second check of the same
pictures opens none of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from whet.data.image import Picture, UnreadableImage, read_header
from whet.data.store import cache_folder, digest_of
from whet.data.table import Table

THUMB = 48  # pixels a side
LOOKED_AT = 192  # a JPEG is decoded to no less than this along its shorter side: about what a network sees
FINGERPRINT = np.dtype(
    [
        ("thumb", "u1", (THUMB, THUMB, 3)),  # the whole picture squashed to a square by area averages, RGB
        ("height", "<u4"),  # upright, after EXIF rotation
        ("width", "<u4"),
        ("bytes", "<u8"),  # of the file
        (
            "sharpness",
            "<f4",
        ),  # standard deviation of the Laplacian of the grey picture at 192 px or its own size, of 255
        ("format", "S8"),
        ("mode", "S8"),
        ("orientation", "u1"),
        ("camera", "S48"),
        ("taken", "S19"),
        ("reason", "S160"),  # why it cannot be read; the rest is zero then
    ]
)
_REVISION = 1  # raise it when a field is computed another way
_MAX_BYTES = 1 << 30
_BATCH = 256


def fingerprint(data: bytes) -> np.ndarray:
    """The fingerprint of one file's bytes, a record (), of a file that cannot be read with the reason alone."""
    found = np.zeros((), FINGERPRINT)
    found["bytes"] = len(data)
    try:
        header, picture = read_header(data), Picture(data)
        shrink = next((factor for factor in (8, 4, 2) if min(picture.size) // factor >= LOOKED_AT), 1)
        pixels = picture.pixels(shrink)
    except UnreadableImage as error:
        found["reason"] = _text(str(error), "reason")
        return found
    found["height"], found["width"] = picture.size
    found["thumb"] = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    found["sharpness"] = _sharpness(pixels)
    found["orientation"] = header.orientation
    for name in ("format", "mode", "camera", "taken"):
        found[name] = _text(getattr(header, name), name)
    return found


def _text(value: str, field: str) -> bytes:
    return value.encode()[: FINGERPRINT[field].itemsize].decode(errors="ignore").encode()


def _sharpness(pixels: np.ndarray) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    side = min(grey.shape)
    if side > LOOKED_AT:
        size = (max(1, round(grey.shape[1] * LOOKED_AT / side)), max(1, round(grey.shape[0] * LOOKED_AT / side)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())


def fingerprints(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> np.ndarray:
    """The fingerprints of a table's files, (N,) of FINGERPRINT; `advance` is told how many more are done."""
    kept = _Cache(cache_folder("fingerprints") / f"{_version()}.sqlite")
    digests, paths = table.frame["digest"].tolist(), table.frame["path"].tolist()
    found_N = np.zeros(len(digests), FINGERPRINT)
    known = dict(kept.read(digests))
    todo = []
    for row, digest in enumerate(digests):
        if digest in known:
            found_N[row] = np.frombuffer(known[digest], FINGERPRINT)[0]
        else:
            todo.append(row)
    advance(len(digests) - len(todo))

    def look(row: int) -> tuple[np.ndarray, bool]:
        try:
            data = Path(paths[row]).read_bytes()
        except OSError as error:
            gone = np.zeros((), FINGERPRINT)
            gone["reason"] = _text(error.strerror or type(error).__name__, "reason")
            return gone, False
        return fingerprint(data), digest_of(data) == digests[row]

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


def _version() -> str:
    """A fingerprint of another decoder, or with other fields, is another one."""
    packages = ("simplejpeg", "Pillow", "opencv-python-headless")
    said = [_REVISION, LOOKED_AT, FINGERPRINT.descr, *(importlib.metadata.version(name) for name in packages)]
    return hashlib.blake2b(str(said).encode(), digest_size=8).hexdigest()


class _Cache:
    """Fingerprints by content in one file. Where that cannot be used, every picture is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=10, isolation_level="IMMEDIATE")
            # After a power cut sqlite finds a damaged file, and pictures are opened again.
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS prints (digest TEXT PRIMARY KEY, print BLOB NOT NULL) WITHOUT ROWID"
            )
        except (sqlite3.Error, OSError):
            self._base = None

    def read(self, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        if self._base is None:
            return
        wanted = sorted(set(digests))
        try:
            for start in range(0, len(wanted), _BATCH):
                part = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(part))
                for digest, print_ in self._base.execute(
                    f"SELECT digest, print FROM prints WHERE digest IN ({marks})", part
                ):
                    if len(print_) == FINGERPRINT.itemsize:
                        yield digest, print_
        except sqlite3.Error:
            self._base = None

    def write(self, fresh: list[tuple[str, bytes]]) -> None:
        if self._base is None or not fresh:
            return
        try:
            if self._path.stat().st_size < _MAX_BYTES:
                with self._base:
                    self._base.executemany("INSERT OR IGNORE INTO prints VALUES (?, ?)", fresh)
        except (sqlite3.Error, OSError):  # a full disk, a folder that is gone: the check goes on without
            self._base = None

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
