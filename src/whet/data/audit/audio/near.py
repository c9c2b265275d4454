"""Pairs of audio clips that are one recording twice: louder or softer, encoded anew, resampled, shifted, or cut out of each other.

What the two spectrograms are like as a whole, whatever their level and beginning, proposes pairs; of these, those stay whose
spectrograms correlate once the one is laid on the other in time. That two takes of one spoken word do as well, so what
decides is the same correlation of the two waves' slopes, below 4 kHz: it is near 1 for copies, however they were saved, and
small for two takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft

from whet.data.audit.audio.audio_print import BANDS, FRAMES, HOP, STEP
from whet.data.audit.pairs import Pairs

ALIKE, HOPEFUL = 0.85, 0.6  # correlations: of the waves, and of the spectrograms
WAVE_RATE = 16_000  # Hz, of the waves: four times their highest tone, so that half a sample of shift does little
PROPOSED = 8  # of each audio clip its nearest
DEEP = 50.0  # decibels below the loudest that are looked at
LEAST, LEAST_SHARE = 15, 0.5  # frames of the one that lie on the other, and their share of the shorter
FLAT = 1.0  # decibels: what changes less has nothing to be known by
WAVE_SECONDS = FRAMES * HOP  # as much as the spectrograms hold
_BLOCK = 2048
_KEPT = 128  # waves at a time


@dataclass(frozen=True)
class AudioPairs(Pairs):
    """shift_P: how many seconds later a thing is heard in the second than in the first."""

    shift_P: np.ndarray

    def said(self, p: int) -> str:
        shift = self.shift_P[p]
        return super().said(p) + (f", shifted by {abs(shift):.2f} s" if abs(shift) > HOP else "")


def spectrogram(print_: np.ndarray) -> np.ndarray:
    """Decibels below the loudest, no deeper than 50: float32 (frames, 24)."""
    mel_LB = print_["mel"][: print_["frames"]].astype(np.float32)
    return np.maximum((mel_LB - 255) * STEP, -DEEP)


def likeness(one_LB: np.ndarray, other_LB: np.ndarray, least: int, flat: float) -> tuple[float, int]:
    """(the correlation of what changes in two spectrograms, or in two waves (T, 1), the one laid on the other where it fits best;
    how many frames or samples later a thing is heard in the second). least: frames that must lie on each other. 0 where there are
    fewer, or where nothing changes by more than `flat`."""
    shorter = min(len(one_LB), len(other_LB))
    least = max(least, int(LEAST_SHARE * shorter))
    if shorter < least:
        return 0.0, 0
    detail = [_detail(part_LB) for part_LB in (one_LB, other_LB)]
    size = scipy.fft.next_fast_len(len(one_LB) + len(other_LB), real=True)
    spectra = [scipy.fft.rfft(part_LB, size, axis=0) for part_LB in detail]
    product_T = scipy.fft.irfft((spectra[1] * np.conj(spectra[0])).sum(axis=1), size)
    lag_T = np.arange(least - len(one_LB), len(other_LB) - least + 1)
    # The energies of what lies on each other, to judge every shift alike.
    energy = [np.concatenate([[0.0], np.cumsum((part_LB.astype(float) ** 2).sum(axis=1))]) for part_LB in detail]
    first_T, last_T = np.maximum(0, -lag_T), np.minimum(len(one_LB), len(other_LB) - lag_T)
    own_T = energy[0][last_T] - energy[0][first_T]
    others_T = energy[1][last_T + lag_T] - energy[1][first_T + lag_T]
    # At least a hundredth of the energy: what is nearly silent correlates by chance.
    floor = 0.01 * energy[0][-1], 0.01 * energy[1][-1]
    scale_T = np.sqrt(np.maximum(own_T, floor[0]) * np.maximum(others_T, floor[1])) + 1e-9
    best = int((product_T[lag_T] / scale_T).argmax())
    lag, first, last = int(lag_T[best]), int(first_T[best]), int(last_T[best])
    one_LB, other_LB = _detail(one_LB[first:last]), _detail(other_LB[first + lag : last + lag])
    if min(one_LB.std(), other_LB.std()) <= flat:
        return 0.0, lag
    return float((one_LB * other_LB).mean() / (one_LB.std() * other_LB.std())), lag


def _detail(spectrum_LB: np.ndarray) -> np.ndarray:
    """What changes in time: less the mean of each band."""
    return spectrum_LB - spectrum_LB.mean(axis=0)


def descriptions(print_N: np.ndarray) -> np.ndarray:
    """What each spectrogram is like where it is heard, whatever its level and beginning: mean and deviation of each band and the
    deviation of its change, float32 (N, 72), each brought to deviation 1 over all."""
    found = []
    for print_ in print_N:
        spectrum_LB = spectrogram(print_)
        heard_L = spectrum_LB.max(axis=1) > -DEEP
        heard_LB = spectrum_LB[heard_L] if heard_L.any() else np.zeros((1, BANDS), np.float32)
        change_LB = np.diff(heard_LB, axis=0) if len(heard_LB) > 1 else np.zeros((1, BANDS), np.float32)
        found.append(np.concatenate([heard_LB.mean(axis=0), heard_LB.std(axis=0), change_LB.std(axis=0)]))
    found_ND = np.array(found, np.float32)
    return (found_ND - found_ND.mean(axis=0)) / (found_ND.std(axis=0) + 1e-6)


def proposals(described_ND: np.ndarray) -> np.ndarray:
    """Pairs (P, 2): of each audio clip those with its nearest few."""
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
    """Every pair that is one recording twice. wave: the samples (T,) of audio clip number i at WAVE_RATE, without tones
    above 4 kHz; empty where it cannot be read."""
    usable = np.flatnonzero(print_N["frames"] >= LEAST)
    if len(usable) < 2:
        return AudioPairs(np.empty((0, 2), dtype=np.int64), np.empty(0), np.empty(0))
    pair_P2 = usable[proposals(descriptions(print_N[usable]))]
    kept = functools.lru_cache(_KEPT)(wave)

    def judged(pair: np.ndarray) -> tuple[float, int]:
        one, other = pair.tolist()
        score, lag = likeness(spectrogram(print_N[one]), spectrogram(print_N[other]), LEAST, FLAT)
        if score < HOPEFUL:
            return 0.0, lag
        # By their slopes, so that low tones alone decide nothing.
        steep, others = (np.diff(kept(row), prepend=0)[:, None] for row in (one, other))
        return likeness(steep, others, round(LEAST * HOP * WAVE_RATE), 0.0)

    with ThreadPoolExecutor(threads, thread_name_prefix="whet-audit") as pool:
        judged_P = list(pool.map(judged, pair_P2))
    likeness_P, lag_P = np.array([score for score, _ in judged_P]), np.array([lag for _, lag in judged_P])
    good_P = likeness_P >= ALIKE
    return AudioPairs(pair_P2[good_P], likeness_P[good_P], lag_P[good_P] / WAVE_RATE)
