"""Decodes one audio file into one mono wave, in the same way for training, prediction and reports.

Rules: several channels are averaged. Integer samples of any depth are scaled to -1 … 1 about their centre; values of floating-point
files outside this range are kept. Formats not listed, and headers that declare more than the limit, are rejected before any sample
is decoded. A file without samples, or with non-finite samples, is rejected.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
import soxr

from whet.core.errors import DataError
from whet.core.process import QuietC

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")
MAX_SECONDS = 2 * 60 * 60
RATES = (1_000, 768_000)
_MAX_FRAMES = MAX_SECONDS * 48_000
_BLOCK = 1 << 16  # a header may declare a wrong length, so memory is allocated while reading

_FARTHEST = 2**62
_QUIET = QuietC()  # libsndfile's MP3 decoder

_DAMAGE = (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


class UnreadableAudio(DataError):
    """A file that is not in an accepted audio format, or is damaged, empty or longer than the limit."""


@dataclass(frozen=True)
class AudioInfo:
    """The header of an audio file. rate: samples per second. frames: samples per channel according to the header (for an MP3 it may
    be slightly too high). format, subtype: libsndfile's names ("WAV", "PCM_16")."""

    rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def audio_info(source: bytes | Path) -> AudioInfo:
    """Read the header without decoding. source: a file's contents or its path. Raises UnreadableAudio, and OSError for a path."""
    with _opened(source) as file:
        return _info(file)


def decode(
    source: bytes | Path, rate: int | None = None, start: float | None = None, end: float | None = None
) -> np.ndarray:
    """Decode to a mono wave, float32 (T,), at `rate` (None: the file's own).

    start, end: seconds; samples outside are not decoded where the format can seek. The segment has
    round(end * rate) - round(start * rate) samples at the file's rate, fewer where the file ends earlier. For a path, only this
    segment is read. Raises UnreadableAudio, and OSError for a path."""
    with _opened(source) as file:
        info = _info(file)
        first, last = _part(info, start, end)
        if last - first > min(_MAX_FRAMES, MAX_SECONDS * info.rate):
            raise UnreadableAudio(
                f"{(last - first) / info.rate:,.0f} seconds at {info.rate} Hz exceed the limit of {MAX_SECONDS:,} seconds"
            )
        wave = _read(file, first, last)
    if not len(wave):
        raise UnreadableAudio(
            "the audio clip holds no samples" + ("" if start is None and end is None else " in this segment")
        )
    if not np.isfinite(wave).all():
        raise UnreadableAudio("some of its samples are not finite (NaN or infinite)")
    return wave if rate is None else resample(wave, info.rate, rate)


def resample(wave: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """float32 (T,) at `rate` -> float32 (about T * wanted / rate,), at least one sample. Rates may be fractions."""
    if rate == wanted:
        return wave
    changed = soxr.resample(wave, rate, wanted, quality="HQ")
    return changed if len(changed) else np.zeros(1, dtype=np.float32)


def _part(info: AudioInfo, start: float | None, end: float | None) -> tuple[int, int]:
    """The first requested frame and the one after the last."""
    if start is not None and not 0 <= start < math.inf:
        raise DataError(f"start {start} must be a time in seconds, at least 0")
    if end is not None and not (start or 0.0) < end < math.inf:
        raise DataError(f"end {end} must be a time in seconds after the start, {start or 0.0}")
    first = 0 if start is None else round(start * info.rate)
    last = info.frames if end is None else min(round(end * info.rate), info.frames)
    return first, max(first, last)


def _read(file: soundfile.SoundFile, first: int, last: int) -> np.ndarray:
    try:
        if first:
            if first >= file.frames:
                return np.empty(0, dtype=np.float32)
            file.seek(first)
        blocks, left = [], last - first
        while left:
            block = file.read(min(left, _BLOCK), dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
            left -= len(block)
    except _DAMAGE as error:
        raise UnreadableAudio(_reason(error)) from None
    return np.concatenate(blocks) if len(blocks) > 1 else np.ascontiguousarray(blocks[0] if blocks else [], np.float32)


class _Stream:
    """A file object without a name for libsndfile: soundfile would treat a name that ends in .raw as headerless samples. Seeks
    before the start, which damaged headers can cause, are clamped instead of raising an error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.readinto, self.tell = file.read, cast(io.BytesIO, file).readinto, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._file.tell()
        elif whence == io.SEEK_END:
            offset += self._file.seek(0, io.SEEK_END)
        return self._file.seek(min(max(0, offset), _FARTHEST))

    def write(self, data: bytes) -> int:  # required by soundfile, never called
        raise io.UnsupportedOperation


@contextmanager
def _opened(source: bytes | Path) -> Iterator[soundfile.SoundFile]:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream, _QUIET:
        try:
            file = soundfile.SoundFile(_Stream(stream))
        except _DAMAGE as error:
            raise UnreadableAudio(_reason(error)) from None
        with file:
            yield file


def _info(file: soundfile.SoundFile) -> AudioInfo:
    info = AudioInfo(file.samplerate, file.channels, file.frames, file.format, file.subtype)
    if info.format not in FORMATS:
        raise UnreadableAudio(f"format {info.format} is not accepted; accepted: {', '.join(FORMATS)}")
    if not RATES[0] <= info.rate <= RATES[1]:
        raise UnreadableAudio(f"a rate of {info.rate} Hz; accepted: {RATES[0]:,} … {RATES[1]:,}")
    return info


def _reason(error: Exception) -> str:
    """libsndfile's error message without its prefixes."""
    words = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return words.removeprefix("Error : ").strip() or type(error).__name__
