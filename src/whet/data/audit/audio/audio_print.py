"""Audio records: each audio clip is decoded once, and what the checks need is stored in a record of about 13 KB."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from whet.data.audio import UnreadableAudio, audio_info, decode, resample
from whet.data.record_cache import RecordCache, looked_up, text_field
from whet.data.store import cache_folder, digest_of, part_digest
from whet.data.table import Table, part_name

RATE, HOP = 16_000, 0.02  # Hz, seconds: of the spectrogram
FRAMES, BANDS = 512, 24  # stored: the first ten seconds, and the range below 4 kHz in pairs of bands
STEP = 0.5  # decibels
QUIET = -60.0  # decibels relative to full scale: anything below counts as silence
FULL, RUN = 0.999, 3  # share of full scale, number of consecutive samples: clipping
AUDIO_PRINT = np.dtype(
    [
        ("mel", "u1", (FRAMES, BANDS)),  # energies in steps of 0.5 dB, the maximum is 255
        ("frames", "<u2"),  # number of filled rows of mel
        (
            "bands",
            "<f4",
            (3, 64),
        ),  # of the log-mel bands to 8 kHz: mean, standard deviation, standard deviation of the change between frames
        ("seconds", "<f4"),
        ("rate", "<u4"),  # of the file, Hz
        ("channels", "<u2"),
        ("bytes", "<u8"),  # of the file
        ("format", "S8"),
        ("subtype", "S16"),
        ("peak", "<f4"),  # largest absolute value, relative to full scale
        ("level", "<f4"),  # root mean square, decibels relative to full scale
        ("clipped", "<f4"),  # share of samples at full scale in runs of at least three
        ("before", "<f4"),  # seconds of silence at the start
        ("after", "<f4"),  # seconds of silence at the end
        ("reason", "S160"),  # why it cannot be read; all other fields are then zero
    ]
)
_REVISION = 1  # increase it when the computation of a field changes
_BLOCK = 0.01  # seconds per block in the silence detection


def audio_print(data: bytes, start: float | None = None, end: float | None = None) -> np.ndarray:
    """The record () of one file's bytes, or of a segment in seconds. An unreadable file has only `reason` and `bytes` set."""
    found = np.zeros((), AUDIO_PRINT)
    found["bytes"] = len(data)
    try:
        info, wave = audio_info(data), decode(data, None, start, end)
    except UnreadableAudio as error:
        found["reason"] = text_field(AUDIO_PRINT, "reason", str(error))
        return found
    found["rate"], found["channels"], found["seconds"] = info.rate, info.channels, len(wave) / info.rate
    found["format"] = text_field(AUDIO_PRINT, "format", info.format)
    found["subtype"] = text_field(AUDIO_PRINT, "subtype", info.subtype)
    found["peak"] = np.abs(wave).max()
    found["level"] = decibels(float(np.mean(wave.astype(np.float64) ** 2)))
    found["clipped"] = _clipped(wave)
    found["before"], found["after"] = _silences(wave, info.rate)
    if found["peak"] > 0:
        _spectrum(found, resample(wave / found["peak"], info.rate, RATE))
    return found


def decibels(energy: float) -> float:
    return 10 * float(np.log10(max(energy, 1e-12)))


def _clipped(wave: np.ndarray) -> float:
    """Share of samples in runs of at least three at full scale with the same sign."""
    if len(wave) < RUN:
        return 0.0
    total = 0
    for side in (wave, -wave):
        edge = np.flatnonzero(np.diff(np.concatenate([[False], side >= FULL, [False]]).astype(np.int8)))
        runs = edge[1::2] - edge[::2]
        total += int(runs[runs >= RUN].sum())
    return total / len(wave)


def _silences(wave: np.ndarray, rate: int) -> tuple[float, float]:
    """Seconds of silence at both ends; the whole duration for both where everything is silent."""
    size = max(1, round(_BLOCK * rate))
    starts = np.arange(0, len(wave), size)
    energy = np.add.reduceat(wave.astype(np.float64) ** 2, starts) / np.diff(np.append(starts, len(wave)))
    loud = np.flatnonzero(energy > 10 ** (QUIET / 10))
    if not len(loud):
        return len(wave) / rate, len(wave) / rate
    return starts[loud[0]] / rate, max(0, len(wave) - starts[loud[-1]] - size) / rate


def _spectrum(found: np.ndarray, wave: np.ndarray) -> None:
    """Fill in the spectrogram fields from a wave at 16 kHz with peak 1, which makes them independent of the level."""
    import torch

    from whet.models.mel import LogMel, MelSettings

    front = LogMel(MelSettings(hop=round(HOP * RATE)))
    with torch.inference_mode():
        energy_LM = front.mel(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None])[0].numpy()
    log_LM = np.log(energy_LM + front.settings.floor)
    change_LM = np.diff(log_LM, axis=0) if len(log_LM) > 1 else np.zeros_like(log_LM)
    found["bands"] = np.stack([log_LM.mean(axis=0), log_LM.std(axis=0), change_LM.std(axis=0)])
    coarse_LB = energy_LM[:FRAMES, : 2 * BANDS].reshape(-1, BANDS, 2).sum(axis=2)
    coarse_LB = 10 * np.log10(np.maximum(coarse_LB, 1e-12))
    found["frames"] = len(coarse_LB)
    found["mel"][: len(coarse_LB)] = np.clip(255 + (coarse_LB - coarse_LB.max()) / STEP, 0, 255).round()


def audio_prints(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> np.ndarray:
    """The records of a table's audio clips, (N,) of AUDIO_PRINT; `advance` is called with the number of newly finished clips."""
    frame = table.frame
    digests, paths = frame["digest"].tolist(), frame["path"].tolist()
    start_N, end_N = frame["start"].to_numpy(float), frame["end"].to_numpy(float)

    def look(row: int) -> tuple[np.ndarray, bool]:
        try:
            data = Path(paths[row]).read_bytes()
        except OSError as error:
            gone = np.zeros((), AUDIO_PRINT)
            gone["reason"] = text_field(AUDIO_PRINT, "reason", error.strerror or type(error).__name__)
            return gone, False
        start, end = (None if np.isnan(side[row]) else float(side[row]) for side in (start_N, end_N))
        part = part_name(start_N[row], end_N[row])
        return audio_print(data, start, end), part_digest(digest_of(data), part) == digests[row]

    kept = RecordCache(cache_folder("audio_prints") / f"{_version()}.sqlite", AUDIO_PRINT)
    return looked_up(digests, look, kept, threads, advance)


def _version() -> str:
    """A key of the cache that changes with the decoder and the fields of the record."""
    packages = ("soundfile", "soxr", "torch")
    parts = [_REVISION, AUDIO_PRINT.descr, *(importlib.metadata.version(name) for name in packages)]
    return hashlib.blake2b(str(parts).encode(), digest_size=8).hexdigest()
