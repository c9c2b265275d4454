"""One audio file -> one mono wave, the same everywhere: training, prediction, report.

Rules: several channels become their mean. Whole numbers of any depth become -1 … 1 about their centre; what floating-point files
hold beyond that stays. Formats outside the list, and headers that ask for more than the limit, are refused before a sample is
decoded; a file without samples, or with samples that are no numbers, is refused.
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
_BLOCK = 1 << 16  # a header may lie about its length, so memory is asked for as samples come

_FARTHEST = 2**62
_QUIET = QuietC()  # libsndfile's MP3 decoder

_DAMAGE = (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


class UnreadableAudio(DataError):
    """A file that is no audio clip of an accepted format, is damaged, is empty, or is longer than the limit."""


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file says of itself. rate: samples a second. frames: samples of each channel, as the header has it (of an MP3
    it may be a little more than is there). format, subtype: libsndfile's names ("WAV", "PCM_16")."""

    rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def audio_info(source: bytes | Path) -> AudioInfo:
    """No sample is decoded. source: a file's contents, or where it lies. Raises UnreadableAudio, and OSError for a path."""
    with _opened(source) as file:
        return _info(file)


def decode(
    source: bytes | Path, rate: int | None = None, start: float | None = None, end: float | None = None
) -> np.ndarray:
    """The wave, float32 (T,), at `rate` (None: the file's own).

    start, end: seconds; what lies outside is not decoded where the format can seek. The wave of a part has
    round(end * rate) - round(start * rate) samples at the file's rate, less where the file ends before. Of a path only the part
    is read. Raises UnreadableAudio, and OSError for a path."""
    with _opened(source) as file:
        info = _info(file)
        first, last = _part(info, start, end)
        if last - first > min(_MAX_FRAMES, MAX_SECONDS * info.rate):
            raise UnreadableAudio(
                f"{(last - first) / info.rate:,.0f} seconds at {info.rate} Hz are more than the limit of {MAX_SECONDS:,} seconds"
            )
        wave = _read(file, first, last)
    if not len(wave):
        raise UnreadableAudio(
            "the audio clip holds no samples" + ("" if start is None and end is None else " in this part")
        )
    if not np.isfinite(wave).all():
        raise UnreadableAudio("some of its samples are no numbers (NaN or infinite)")
    return wave if rate is None else resample(wave, info.rate, rate)


def resample(wave: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """float32 (T,) at `rate` -> float32 (about T * wanted / rate,), at least one sample. Rates may be fractions."""
    if rate == wanted:
        return wave
    changed = soxr.resample(wave, rate, wanted, quality="HQ")
    return changed if len(changed) else np.zeros(1, dtype=np.float32)


def _part(info: AudioInfo, start: float | None, end: float | None) -> tuple[int, int]:
    """The first frame asked for and the one after the last."""
    if start is not None and not 0 <= start < math.inf:
        raise DataError(f"start {start} must be seconds, not below 0")
    if end is not None and not (start or 0.0) < end < math.inf:
        raise DataError(f"end {end} must be seconds after the start, {start or 0.0}")
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
    """A file for libsndfile, without a name: soundfile would take one that ends in .raw for headerless samples. A damaged header
    may send it before the beginning, which a file object would refuse aloud."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read, self.readinto, self.tell = file.read, cast(io.BytesIO, file).readinto, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._file.tell()
        elif whence == io.SEEK_END:
            offset += self._file.seek(0, io.SEEK_END)
        return self._file.seek(min(max(0, offset), _FARTHEST))

    def write(self, data: bytes) -> int:  # asked for by soundfile, never used
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
    """libsndfile's own words, less its prefixes."""
    words = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return words.removeprefix("Error : ").strip() or type(error).__name__
