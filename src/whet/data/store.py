"""Caches of decoded images and audio, in memory or in files of the cache folder, so that each is decoded only once.

A training image is always decoded to its working size, cached or not, so the cache never changes a result. The user's own folder is
only read.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from whet.data.audio import decode
from whet.data.image import ImageSample
from whet.data.table import part_name
from whet.render.shrink import shrink

_HEADER = struct.Struct(
    "<8s5I"
)  # magic number, size of the original, rows and columns of the array, CRC-32 of the header and the array
_REVISION = 2  # increase it when the computation of pixels or waves changes
_PIXELS, _WAVE, _SUFFIX = b"whetpix2", b"whetwav2", ".whet-pixels"  # a wave has one row per sample and no columns
_SHARP, _FINE = 2.0, 1.5  # relative to the input side


def working_factor(size: tuple[int, int], shown: int) -> int:
    """The factor (8, 4, 2, 1) by which an image is downscaled on decoding for training: the largest for which a crop of a quarter
    of its area still has `shown` pixels a side. Images are never upscaled."""
    return next((factor for factor in (8, 4, 2) if min(size) // factor >= _SHARP * shown), 1)


def digest_of(data: bytes) -> str:
    """The content hash: BLAKE2 of 16 bytes, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def part_digest(digest: str, part: str) -> str:
    """The hash of a segment of the content with this hash; for the whole content, the hash itself."""
    return digest_of(f"{digest} {part}".encode()) if part else digest


@dataclass(frozen=True)
class Kept:
    """Pixels at their working size, read-only, and the (height, width) of the whole image; or a wave, float32 (T,), and (number of
    samples, rate)."""

    size: tuple[int, int]
    array: np.ndarray

    def pixels(self, factor: int = 1, buffer: np.ndarray | None = None, *, fine: bool = True) -> np.ndarray:
        """The pixels, copied into `buffer` where it is large enough. A warp reads memory non-sequentially, and outside the
        processor's cache this takes twice as long as the copy and the warp together."""
        if buffer is None or buffer.size < self.array.size:
            return self.array
        copy = buffer[: self.array.size].reshape(self.array.shape)
        np.copyto(copy, self.array)
        return copy


class Cache(Protocol):
    """A cache of decoded images or audio, with keys of digest and decoding."""

    def get(self, key: str) -> Kept | None: ...

    def put(self, key: str, kept: Kept) -> bool:
        """Store an entry; return whether there was space."""
        ...


class MemoryCache:
    """A cache of up to `limit` bytes in the memory of this process."""

    def __init__(self, limit: int) -> None:
        self._left, self._kept, self._lock = limit, dict[str, Kept](), threading.Lock()

    def get(self, key: str) -> Kept | None:
        return self._kept.get(key)

    def put(self, key: str, kept: Kept) -> bool:
        with self._lock:
            if key in self._kept or kept.array.nbytes > self._left:
                return key in self._kept
            self._left -= kept.array.nbytes
            self._kept[key] = kept
            return True


class DiskCache:
    """A cache of up to `limit` bytes of files below `folder`, one per image, memory-mapped when read. The files are kept for later
    runs, and several runs may share them. The least recently used files are deleted first. A damaged file is deleted and its image
    decoded again."""

    def __init__(self, folder: Path, limit: int, needed: int, wanted: Sequence[str] = ()) -> None:
        """needed: the total bytes of all images of this run; `wanted`: their keys."""
        self.folder = folder
        self._proven: set[str] = set()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._left = limit - self._evict(limit - min(needed, limit), set(wanted))

    def get(self, key: str) -> Kept | None:
        path = self._path(key)
        try:
            if path.stat().st_size < _HEADER.size:
                raise ValueError
            whole = np.memmap(path, dtype=np.uint8, mode="r")
            magic, *size, rows, columns, crc = _HEADER.unpack(bytes(whole[: _HEADER.size]))
            if magic not in (_PIXELS, _WAVE):
                raise ValueError
            array = whole[_HEADER.size :]
            array = array.reshape(rows, columns, 3) if magic == _PIXELS else array.view(np.float32).reshape(rows)
            if key not in self._proven and _checksum(magic, size, (rows, columns), array) != crc:
                raise ValueError
            if key not in self._proven:
                os.utime(path)  # mark it as recently used
                self._proven.add(key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, OSError):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return Kept((size[0], size[1]), array)

    def put(self, key: str, kept: Kept) -> bool:
        with self._lock:
            if self._left < kept.array.nbytes + _HEADER.size:
                return False
            self._left -= kept.array.nbytes + _HEADER.size
        path = self._path(key)
        beside = path.with_name(f".{os.getpid()}.{threading.get_ident()}{_SUFFIX}")
        magic, shape = (_PIXELS, kept.array.shape[:2]) if kept.array.ndim == 3 else (_WAVE, (len(kept.array), 0))
        header = _HEADER.pack(magic, *kept.size, *shape, _checksum(magic, kept.size, shape, kept.array))
        try:
            path.parent.mkdir(exist_ok=True)
            with beside.open("wb") as file:
                file.write(header)
                file.write(kept.array.data)
            beside.replace(path)
        except OSError:  # the disk is full or not available: continue without the cache
            with contextlib.suppress(OSError):
                beside.unlink()
            self._left = 0
            return False
        self._proven.add(key)
        return True

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _evict(self, allowed: int, wanted: set[str]) -> int:
        """Delete the least recently used files until those not in `wanted` take `allowed` bytes; return the total size left."""
        others, used_by_wanted = [], 0
        for path in self.folder.glob(f"??/*{_SUFFIX}"):  # other files are never deleted
            with contextlib.suppress(OSError):  # another run may delete it at the same time
                state = path.stat()
                if path.name.removesuffix(_SUFFIX) in wanted:
                    used_by_wanted += state.st_size
                else:
                    others.append((state.st_mtime, state.st_size, path))
        used = sum(size for _, size, _ in others)
        for _, size, path in sorted(others):
            if used <= allowed:
                break
            path.unlink(missing_ok=True)
            used -= size
        return used + used_by_wanted


def _checksum(magic: bytes, size: Sequence[int], shape: Sequence[int], array: np.ndarray) -> int:
    """The checksum of the header without the checksum, and of the array."""
    return zlib.crc32(array.data, zlib.crc32(_HEADER.pack(magic, *size, *shape, 0)))


def keys_of(digests: Sequence[str], shown: int) -> list[str]:
    """The keys of images with these contents. They include the versions of the decoders, because other versions may give other
    pixels."""
    versions = _versions("simplejpeg", "Pillow", "opencv-python-headless")
    return [f"{digest}-{shown}-{versions}" for digest in digests]


def _versions(*packages: str) -> str:
    """The versions of these packages as part of a key."""
    return digest_of("-".join([str(_REVISION), *map(importlib.metadata.version, packages)]).encode())[:8]


class ImageStore:
    """The training images at their working size. `digests`: the content hashes of the files at `paths`. `shown`: the largest side
    of a training image as network input."""

    def __init__(self, paths: Sequence[str], digests: Sequence[str], shown: int, cache: Cache | None = None) -> None:
        self._paths, self._digests, self._keys = list(paths), list(digests), keys_of(digests, shown)
        self.shown = shown
        self._cache, self._full = cache, cache is None

    def open(self, index: int) -> Kept | WorkingImage:
        """Image number `index`, cached or decoded when its pixels are requested. Raises OSError, UnreadableImage."""
        key = self._keys[index]
        if self._cache is not None and (kept := self._cache.get(key)) is not None:
            return kept
        data = Path(self._paths[index]).read_bytes()
        worth_keeping = not self._full and digest_of(data) == self._digests[index]
        return WorkingImage(ImageSample(data), self, key if worth_keeping else None)

    def keep(self, key: str, kept: Kept) -> None:
        if self._cache is not None and not self._full:
            self._full = not self._cache.put(key, kept)


class WorkingImage:
    """An image that is decoded to its working size, and cached if there is space."""

    def __init__(self, image: ImageSample, store: ImageStore, key: str | None) -> None:
        self._image, self._store, self._key = image, store, key
        self.size = image.size

    def pixels(self, factor: int = 1, buffer: np.ndarray | None = None, *, fine: bool = True) -> np.ndarray:
        """The pixels. `factor` and `fine` are ignored: the working size determines both."""
        shown = self._store.shown
        factor = working_factor(self.size, shown)
        fine = min(self.size) // factor < _FINE * shown
        array = self._image.pixels(factor, buffer if self._key is None else None, fine=fine)
        array = shrink(array, self.size, np.array([factor, factor]))
        if self._key is not None:
            array = array if array.flags.owndata and array.flags.c_contiguous else array.copy()
            array.flags.writeable = False
            self._store.keep(self._key, Kept(self.size, array))
        return array


class AudioStore:
    """Waves at `rate`. `digests`: the content hashes of the files at `paths` and of their segments (`hash_contents`).
    start_N, end_N: the segment of each file, in seconds, NaN for the file's own start and end."""

    def __init__(
        self,
        paths: Sequence[str],
        digests: Sequence[str],
        rate: int,
        start_N: np.ndarray | None = None,
        end_N: np.ndarray | None = None,
        cache: Cache | None = None,
    ) -> None:
        whole = np.full(len(paths), np.nan)
        self.rate = rate
        self._paths, self._digests = list(paths), list(digests)
        self._start_N, self._end_N = (whole if side is None else side for side in (start_N, end_N))
        self._cache, self._full = cache, cache is None
        self._versions = _versions("soundfile", "soxr")

    def __len__(self) -> int:
        return len(self._paths)

    def open(self, index: int) -> np.ndarray:
        """Wave number `index`, float32 (T,), read-only. Raises OSError, UnreadableAudio."""
        part = part_name(self._start_N[index], self._end_N[index])
        key = self._key(index)
        if self._cache is not None and (kept := self._cache.get(key)) is not None:
            return kept.array
        start, end = (None if np.isnan(side[index]) else float(side[index]) for side in (self._start_N, self._end_N))
        path = Path(self._paths[index])
        if self._cache is None or self._full:
            return decode(path, self.rate, start, end)
        data = path.read_bytes()
        wave = decode(data, self.rate, start, end)
        wave.flags.writeable = False
        if part_digest(digest_of(data), part) == self._digests[index]:
            self._full = not self._cache.put(key, Kept((len(wave), self.rate), wave))
        return wave

    def _key(self, index: int) -> str:
        return f"{self._digests[index]}-{self.rate}-{self._versions}"


def kept_bytes(sizes: Sequence[tuple[int, int]], shown: int) -> float:
    """The mean number of bytes of a cached image for these sizes."""
    factors = [working_factor(size, shown) for size in sizes]
    return float(np.mean([3 * (h // f) * (w // f) for (h, w), f in zip(sizes, factors)])) if sizes else 0.0


def cache_folder(kind: str) -> Path:
    """The folder for this kind of cache ("images") in $WHET_CACHE, or in the user's cache folder."""
    if chosen := os.environ.get("WHET_CACHE"):
        return Path(chosen) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "whet" / kind


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of `folder`, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
