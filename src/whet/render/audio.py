"""Renders views of audio clips with numpy, scipy and soxr, one sample at a time; the result does not depend on the thread."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.fft
from scipy.signal import oaconvolve

from whet.core.audio_view import RESPONSE_POINTS, AudioNoise, AudioView, Reverb
from whet.core.errors import DataError
from whet.data.audio import UnreadableAudio, decode, resample
from whet.render.noise import normal_bank, place_in_bank

_WINDOW_SECONDS = 0.064  # window of the phase vocoder
_LAPPED, _BANDS = 512, 16  # coefficients of the lapped transform; number of bands, each with one quantisation step
_LONGEST_FILE = 60.0  # maximum length of a background recording in seconds


class AudioRenderer:
    """Renders the samples of one view."""

    def __init__(self, view: AudioView) -> None:
        self.view = view
        self._step_B, self._signal_samples_B = view.step_B, view.signal_samples_B

    def render(self, i: int, wave: np.ndarray, out: np.ndarray) -> None:
        """Render sample i from its source, float32 (length,), into `out`, float32 (samples,)."""
        view = self.view
        self._stretch(i, wave, out)
        if view.response_BF is not None and view.response_BF[i].any():
            out[:] = oaconvolve(out, impulse_of(view.response_BF[i]), mode="same")
        for reverb in view.reverbs:
            if reverb.acts_B[i]:
                _reverberate(out, reverb, i, view.rate)
        for noise in view.noises:
            if np.isfinite(noise.snr_db_B[i]):
                _add_noise(out, noise, i, view.rate, self._signal_samples_B[i])
        if view.gain_B[i] != 1:
            out *= np.float32(view.gain_B[i])
        for codec in view.codecs:
            if codec.setting_B[i] > 0:
                (_clip if codec.kind == "clip" else _quantise)(out, float(codec.setting_B[i]))
        for gap in view.gaps:
            for first, last in gap.span_BN2[i]:
                if last > first:
                    _silence(out, int(first), int(last), gap.fade)

    def _stretch(self, i: int, wave: np.ndarray, out: np.ndarray) -> None:
        view = self.view
        start, step = round(float(view.start_B[i])), float(self._step_B[i])
        tempo, factor = float(view.tempo_B[i]), float(view.resample_B[i])
        wrap = bool(view.wrap_B[i])
        if tempo == 1 and factor == 1:
            _cut(wave, start, wrap, out)
            return
        source = np.empty(int(np.ceil(len(out) * step)), dtype=np.float32)
        _cut(wave, start, wrap, source)
        if tempo != 1:
            source = stretch(source, tempo, vocoder_window(view.rate))
        if factor != 1:
            source = resample(source, view.rate * factor, view.rate)
        count = min(len(source), len(out))
        out[:count] = source[:count]
        out[count:] = 0


def _cut(wave: np.ndarray, start: int, wrap: bool, out: np.ndarray) -> None:
    """Copy the segment of the wave from `start`, with silence around it, or wrapped around."""
    count, length = len(out), len(wave)
    if wrap:
        start %= max(length, count)
    first, last = max(0, start), min(length, start + count)
    if last - first < count:
        out[:] = 0
    if last > first:
        out[first - start : last - start] = wave[first:last]
    again = start + count - max(length, count)  # number of samples wrapped from the start
    if wrap and again > 0:
        head = min(again, length)
        out[count - again : count - again + head] = wave[:head]


def vocoder_window(rate: int) -> int:
    """The power of two nearest to 64 ms."""
    return int(2 ** round(np.log2(_WINDOW_SECONDS * rate)))


def stretch(wave: np.ndarray, factor: float, window: int) -> np.ndarray:
    """Change the speed by `factor` at constant pitch, float32 (round(T / factor),).

    The phase vocoder of Flanagan and Golden 1966 in the form of Ellis 2002 (as in librosa). Input and output frames have the same
    hop, so the phases advance by products of complex numbers of modulus 1, and no angle is computed."""
    hop, half = window // 4, window // 2
    count = max(1, round(len(wave) / factor))
    padded = np.zeros(window + hop * -(-len(wave) // hop), dtype=np.float32)
    padded[half : half + len(wave)] = wave
    hann = _hann(window)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * hann
    spectrum_LF = scipy.fft.rfft(frames, axis=1)
    size_LF = np.abs(spectrum_LF)
    unit_LF = spectrum_LF * (1 / np.maximum(size_LF, np.float32(1e-20)))
    unit_LF[size_LF < 1e-20] = 1
    place_K = np.arange(0, len(frames), factor)
    frame_K = place_K.astype(np.int64)
    share_K1 = (place_K - frame_K).astype(np.float32)[:, None]
    next_K = np.minimum(frame_K + 1, len(frames) - 1)
    size_KF = size_LF[frame_K] * (1 - share_K1) + size_LF[next_K] * share_K1
    phase_KF = np.empty((len(place_K), half + 1), dtype=np.complex64)
    phase_KF[0] = unit_LF[0]
    np.multiply(unit_LF[next_K[:-1]], unit_LF[frame_K[:-1]].conj(), out=phase_KF[1:])
    np.cumprod(phase_KF, axis=0, out=phase_KF)
    phase_KF *= size_KF / np.maximum(
        np.abs(phase_KF), np.float32(1e-20)
    )  # correct the drift of long products from modulus 1
    return _overlapped(scipy.fft.irfft(phase_KF, window, axis=1) * hann, hann, hop)[half : half + count]


def _overlapped(frames_KW: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Overlap-add of frames with this hop, divided by the sum of the squared windows."""
    K, parts = len(frames_KW), frames_KW.shape[1] // hop
    out, weight = np.zeros((K + 2 * parts, hop), dtype=np.float32), np.zeros((K + 2 * parts, hop), dtype=np.float32)
    pieces, squares = frames_KW.reshape(K, parts, hop), (window**2).reshape(parts, hop)
    for part in range(parts):
        out[part : part + K] += pieces[:, part]
        weight[part : part + K] += squares[part]
    return (out / np.where(weight > 1e-4, weight, 1)).ravel()


@functools.cache
def _hann(length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def impulse_of(response_F: np.ndarray) -> np.ndarray:
    """The zero-delay filter for a response in decibels, float32, of odd length and symmetric about its centre."""
    taps = np.fft.irfft(10 ** (response_F / 20))
    middle = RESPONSE_POINTS - 1
    taps = np.roll(taps, middle)[1:] * np.hanning(2 * middle + 1)[1:-1]
    return taps.astype(np.float32)


def _reverberate(out: np.ndarray, reverb: Reverb, i: int, rate: int) -> None:
    if reverb.files:
        response = _recording(reverb.files[int(reverb.key_B[i]) % len(reverb.files)], rate)
        response = response[int(np.abs(response).argmax()) :]  # so that the audio clip is not delayed
    else:
        response = room(float(reverb.seconds_B[i]), float(reverb.wet_db_B[i]), int(reverb.key_B[i]), rate, len(out))
    before = _energy(out)
    out[:] = oaconvolve(out, response[: len(out)])[: len(out)]
    if (after := _energy(out)) > 0:
        out *= np.float32(np.sqrt(before / after))


def room(seconds: float, wet_db: float, key: int, rate: int, longest: int) -> np.ndarray:
    """An impulse response: the direct sound, then noise that decays by 60 dB in `seconds`, with an energy of wet_db relative to the
    direct sound."""
    count = min(longest, max(2, int(seconds * rate)))
    tail = _stretch_of(normal_bank(), key, count) * np.exp(-np.log(1e3) / (seconds * rate) * np.arange(count))
    tail[0] = 0
    tail *= 10 ** (wet_db / 20) / np.sqrt(_energy(tail) or 1.0)
    tail[0] = 1
    return tail.astype(np.float32)


def _add_noise(out: np.ndarray, noise: AudioNoise, i: int, rate: int, signal_samples: int) -> None:
    key = int(noise.key_B[i])
    if noise.kind == "files":
        added = _stretch_of(_recording(noise.files[key % len(noise.files)], rate), key, len(out))
    else:
        added = _stretch_of(coloured_bank(noise.kind), key, len(out))
    signal, power = _energy(out) / max(1, signal_samples), _energy(added) / len(added)
    if signal > 0 and power > 0:
        out += added * np.float32(np.sqrt(signal / power) * 10 ** (-noise.snr_db_B[i] / 20))


@functools.cache
def coloured_bank(kind: Literal["white", "pink", "brown"]) -> np.ndarray:
    """A million numbers of noise whose power falls by 0, 3 or 6 dB per octave, float32, always the same, without a discontinuity
    when wrapped around."""
    bank = normal_bank()
    if kind == "white":
        return bank
    spectrum = scipy.fft.rfft(bank)
    cycles = np.maximum(scipy.fft.rfftfreq(len(bank)), 1e-3)  # flat below 16 Hz at 16 kHz
    coloured = scipy.fft.irfft(spectrum * cycles ** (-0.5 if kind == "pink" else -1.0), len(bank))
    return (coloured / coloured.std()).astype(np.float32)


def _stretch_of(bank: np.ndarray, key: int, count: int) -> np.ndarray:
    """`count` consecutive numbers from a position determined by the key, wrapped around at the end of the bank."""
    place = place_in_bank(key, len(bank))
    return bank[place : place + count] if place + count <= len(bank) else np.resize(np.roll(bank, -place), count)


@functools.lru_cache(maxsize=128)
def _recording(path: str, rate: int) -> np.ndarray:
    try:
        return decode(Path(path), rate, end=_LONGEST_FILE)
    except UnreadableAudio as error:
        raise DataError(f"{path}: {error}") from None


def _clip(out: np.ndarray, share: float) -> None:
    loudness = np.abs(out)
    kept = min(len(out) - 1, int((1 - share) * len(out)))
    limit = np.partition(loudness, kept)[kept]
    np.clip(out, -limit, limit, out=out)


def _quantise(out: np.ndarray, bits: float) -> None:
    """The lapped transform (MDCT) with a sine window; each band of each frame has its own step, 2^-bits of its maximum."""
    N, count = _LAPPED, len(out)
    padded = np.zeros(N * (2 + -(-count // N)), dtype=np.float32)
    padded[N : N + count] = out
    window = np.sin(np.pi * (np.arange(2 * N) + 0.5) / (2 * N)).astype(np.float32)
    a, b, c, d = np.split(np.lib.stride_tricks.sliding_window_view(padded, 2 * N)[::N] * window, 4, axis=1)
    folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=1)
    bands = scipy.fft.dct(folded, type=4, norm="ortho", axis=1).reshape(len(folded), _BANDS, -1)
    largest = np.maximum(np.abs(bands).max(axis=2, keepdims=True), np.float32(1e-12))
    levels = np.float32(2.0 ** (bits - 1))
    rounded = np.rint((np.abs(bands) / largest) ** np.float32(0.75) * levels) / levels
    bands = np.sign(bands) * largest * rounded ** np.float32(4 / 3)
    first, second = np.split(scipy.fft.dct(bands.reshape(folded.shape), type=4, norm="ortho", axis=1), 2, axis=1)
    unfolded = np.concatenate([second, -second[:, ::-1], -first[:, ::-1], -first], axis=1) * window
    whole = np.zeros(len(padded) // N * N, dtype=np.float32).reshape(-1, N)
    whole[:-1] += unfolded[:, :N]
    whole[1:] += unfolded[:, N:]
    out[:] = whole.ravel()[N : N + count]


def _silence(out: np.ndarray, first: int, last: int, fade: int) -> None:
    fade = min(fade, (last - first) // 2)
    ramp = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(1, fade))
    out[first : first + fade] *= ramp.astype(np.float32)
    out[last - fade : last] *= ramp[::-1].astype(np.float32)
    out[first + fade : last - fade] = 0


def _energy(wave: np.ndarray) -> float:
    return float(np.dot(wave, wave))
