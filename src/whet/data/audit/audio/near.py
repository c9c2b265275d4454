"""Finds pairs of audio clips with the same recording: at another level, re-encoded, resampled, shifted, or cut from each other.

Summary statistics of the two spectrograms, independent of level and start, propose pairs. Pairs whose spectrograms correlate at the
best time shift are kept. Two takes of one spoken word also pass this test, so the final criterion is the same correlation of the
derivatives of the two waves, below 4 kHz: it is near 1 for copies in any format, and small for two takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft

from whet.core.language import Sentence, english
from whet.data.audit.audio.audio_print import BANDS, FRAMES, HOP, STEP
from whet.data.audit.pairs import Pairs

ALIKE, HOPEFUL = 0.85, 0.6  # minimum correlations: of the waves, and of the spectrograms
WAVE_RATE = (
    16_000  # Hz, of the waves: four times their highest frequency, so that a shift by half a sample has little effect
)
PROPOSED = 8  # nearest neighbours per audio clip
DEEP = 50.0  # decibels below the maximum at which spectrograms are clipped
LEAST, LEAST_SHARE = 15, 0.5  # overlap in frames, and as a share of the shorter clip
FLAT = 1.0  # decibels: a spectrogram with less variation has no distinctive features
WAVE_SECONDS = FRAMES * HOP  # the duration stored in the spectrograms
_BLOCK = 2048
_KEPT = 128  # number of cached waves


@dataclass(frozen=True)
class AudioPairs(Pairs):
    """shift_P: how many seconds later the recording starts in the second clip than in the first."""

    shift_P: np.ndarray

    def describe(self, p: int) -> Sentence:
        alike, shift = super().describe(p), abs(self.shift_P[p])
        return english("{alike!t}, shifted by {s:.2f} s", alike=alike, s=shift) if shift > HOP else alike


def spectrogram(print_: np.ndarray) -> np.ndarray:
    """Decibels relative to the maximum, clipped at -50: float32 (frames, 24)."""
    mel_LB = print_["mel"][: print_["frames"]].astype(np.float32)
    return np.maximum((mel_LB - 255) * STEP, -DEEP)


def likeness(one_LB: np.ndarray, other_LB: np.ndarray, least: int, flat: float) -> tuple[float, int]:
    """(the correlation of the changes in two spectrograms, or in two waves (T, 1), at the best shift; that shift: how many frames
    or samples later the second is). least: minimum overlap in frames. 0 where the overlap is smaller, or where the variation is at
    most `flat`."""
    shorter = min(len(one_LB), len(other_LB))
    least = max(least, int(LEAST_SHARE * shorter))
    if shorter < least:
        return 0.0, 0
    detail = [_detail(part_LB) for part_LB in (one_LB, other_LB)]
    size = scipy.fft.next_fast_len(len(one_LB) + len(other_LB), real=True)
    spectra = [scipy.fft.rfft(part_LB, size, axis=0) for part_LB in detail]
    product_T = scipy.fft.irfft((spectra[1] * np.conj(spectra[0])).sum(axis=1), size)
    lag_T = np.arange(least - len(one_LB), len(other_LB) - least + 1)
    # The energies of the overlapping parts, to compare all shifts on one scale.
    energy = [np.concatenate([[0.0], np.cumsum((part_LB.astype(float) ** 2).sum(axis=1))]) for part_LB in detail]
    first_T, last_T = np.maximum(0, -lag_T), np.minimum(len(one_LB), len(other_LB) - lag_T)
    own_T = energy[0][last_T] - energy[0][first_T]
    others_T = energy[1][last_T + lag_T] - energy[1][first_T + lag_T]
    # At least a hundredth of the energy: nearly silent parts correlate by chance.
    floor = 0.01 * energy[0][-1], 0.01 * energy[1][-1]
    scale_T = np.sqrt(np.maximum(own_T, floor[0]) * np.maximum(others_T, floor[1])) + 1e-9
    best = int((product_T[lag_T] / scale_T).argmax())
    lag, first, last = int(lag_T[best]), int(first_T[best]), int(last_T[best])
    one_LB, other_LB = _detail(one_LB[first:last]), _detail(other_LB[first + lag : last + lag])
    if min(one_LB.std(), other_LB.std()) <= flat:
        return 0.0, lag
    return float((one_LB * other_LB).mean() / (one_LB.std() * other_LB.std())), lag


def _detail(spectrum_LB: np.ndarray) -> np.ndarray:
    """The change over time: the spectrum minus the mean of each band."""
    return spectrum_LB - spectrum_LB.mean(axis=0)


def descriptions(print_N: np.ndarray) -> np.ndarray:
    """Summary of the audible part of each spectrogram, independent of level and start: mean and standard deviation of each band and
    the standard deviation of its change, float32 (N, 72), each scaled to standard deviation 1 over all clips."""
    found = []
    for print_ in print_N:
        spectrum_LB = spectrogram(print_)
        loud_L = spectrum_LB.max(axis=1) > -DEEP
        loud_LB = spectrum_LB[loud_L] if loud_L.any() else np.zeros((1, BANDS), np.float32)
        change_LB = np.diff(loud_LB, axis=0) if len(loud_LB) > 1 else np.zeros((1, BANDS), np.float32)
        found.append(np.concatenate([loud_LB.mean(axis=0), loud_LB.std(axis=0), change_LB.std(axis=0)]))
    found_ND = np.array(found, np.float32)
    return (found_ND - found_ND.mean(axis=0)) / (found_ND.std(axis=0) + 1e-6)


def proposals(described_ND: np.ndarray) -> np.ndarray:
    """Pairs (P, 2): each audio clip with its nearest neighbours."""
    count, near = len(described_ND), min(PROPOSED, len(described_ND) - 1)
    length_N = (described_ND**2).sum(axis=1)
    found = []
    for start in range(0, count, _BLOCK):
        block = described_ND[start : start + _BLOCK]
        distance_BN = length_N - 2 * block @ described_ND.T
        distance_BN[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        near_BK = np.argpartition(distance_BN, near - 1, axis=1)[:, :near]
        row_B = np.repeat(np.arange(start, start + len(block)), near)
        found.append(np.sort(np.stack([row_B, near_BK.ravel()], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def near_pairs(print_N: np.ndarray, wave: Callable[[int], np.ndarray], threads: int = 2) -> AudioPairs:
    """Every pair with the same recording. wave: the samples (T,) of audio clip number i at WAVE_RATE, low-pass filtered at 4 kHz;
    empty where it cannot be read."""
    usable = np.flatnonzero(print_N["frames"] >= LEAST)
    if len(usable) < 2:
        return AudioPairs(np.empty((0, 2), dtype=np.int64), np.empty(0), np.empty(0))
    pair_P2 = usable[proposals(descriptions(print_N[usable]))]
    kept = functools.lru_cache(_KEPT)(wave)

    def compare(pair: np.ndarray) -> tuple[float, int]:
        one, other = pair.tolist()
        score, lag = likeness(spectrogram(print_N[one]), spectrogram(print_N[other]), LEAST, FLAT)
        if score < HOPEFUL:
            return 0.0, lag
        # Use the derivatives, so that low frequencies do not dominate.
        steep, others = (np.diff(kept(row), prepend=0)[:, None] for row in (one, other))
        return likeness(steep, others, round(LEAST * HOP * WAVE_RATE), 0.0)

    with ThreadPoolExecutor(threads, thread_name_prefix="whet-audit") as pool:
        compared_P = list(pool.map(compare, pair_P2))
    likeness_P, lag_P = np.array([score for score, _ in compared_P]), np.array([lag for _, lag in compared_P])
    good_P = likeness_P >= ALIKE
    return AudioPairs(pair_P2[good_P], likeness_P[good_P], lag_P[good_P] / WAVE_RATE)
