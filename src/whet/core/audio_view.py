"""The view of a batch of audio clips: what SAMPLE methods wish for, as arrays. They draw here and never touch a wave; one renderer
then
paints every audio clip once.

Time is counted in samples at the view's rate. Changes of speed, tempo and pitch are two numbers: one stretching at
constant pitch and one resampling, however many methods ask for them. Gains and polarities are one factor, all filters
one frequency response.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

RESPONSE_POINTS = 513


@dataclass(frozen=True)
class Reverb:
    """The audio clip in a room: convolved with an impulse response, at the level it had before.

    seconds_B: how long the room takes to fall by 60 dB, 0 for no room; the tail is decaying noise drawn from key_B (uint32),
    wet_db_B its energy in decibels over that of the direct sound. files: recorded impulse responses instead, of which key_B
    chooses one; seconds_B then only says where there is a room.
    """

    seconds_B: np.ndarray
    wet_db_B: np.ndarray
    key_B: np.ndarray
    files: tuple[str, ...] = ()

    @property
    def acts_B(self) -> np.ndarray:
        return self.seconds_B > 0


@dataclass(frozen=True)
class AudioNoise:
    """Noise at a signal-to-noise ratio in decibels a sample, inf for none; of a silent audio clip there is none. The noise is
    drawn from
    key_B (uint32): of that colour, or a stretch of one of `files`. The signal's level is that of what is heard of it, padding left
    aside."""

    kind: Literal["white", "pink", "brown", "files"]
    snr_db_B: np.ndarray
    key_B: np.ndarray
    files: tuple[str, ...] = ()

    @property
    def acts_B(self) -> np.ndarray:
        return np.isfinite(self.snr_db_B)


@dataclass(frozen=True)
class AudioCodec:
    """What a poor channel does, with a setting a sample, 0 leaving the sample as it is. "clip": the share of samples,
    the loudest, that are cut to the loudest of the rest. "quantise": the bits, 1 and more, to which the coefficients of a lapped
    transform are rounded in every band, by MP3's power law."""

    kind: Literal["clip", "quantise"]
    setting_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return self.setting_B > 0


@dataclass(frozen=True)
class Gap:
    """Stretches of silence: span_BN2 int, first output sample and the one after the last, empty where last <= first. Each edge is
    faded over up to `fade` samples."""

    span_BN2: np.ndarray
    fade: int = 0

    @property
    def acts_B(self) -> np.ndarray:
        return np.any(self.span_BN2[..., 1] > self.span_BN2[..., 0], axis=1)


@dataclass(frozen=True)
class AudioView:
    """The wish for one batch of audio clips. Empty, it shows each from its beginning, or the middle of those that are longer.

    length_B: samples of each source at `rate`. samples: T, those of the output. start_B: the source sample that is
    heard first; before the source's beginning and after its end there is silence. wrap_B: instead, what leaves at one
    end enters at the other. tempo_B: how many times faster at the same pitch. resample_B: how many times faster and
    higher. response_BF: gain in decibels at RESPONSE_POINTS frequencies, evenly from 0 to half the rate, of a filter
    that delays nothing. gain_B: a factor, negative where the polarity is turned.

    Painted in this order: the stretch of the source, tempo, resampling, filter, reverbs, noises, gain, codecs, gaps.
    Nothing is clipped to -1 … 1.
    """

    length_B: np.ndarray
    rate: int
    samples: int
    start_B: np.ndarray
    wrap_B: np.ndarray
    tempo_B: np.ndarray
    resample_B: np.ndarray
    gain_B: np.ndarray
    response_BF: np.ndarray | None = None
    reverbs: tuple[Reverb, ...] = ()
    noises: tuple[AudioNoise, ...] = ()
    codecs: tuple[AudioCodec, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @classmethod
    def whole(cls, length_B: Any, rate: int, samples: int) -> AudioView:
        length = np.asarray(length_B, dtype=np.int64).reshape(-1)
        one = np.ones(len(length))
        start = np.maximum(0, (length - samples) // 2).astype(float)
        return cls(length, rate, samples, start, np.zeros(len(length), dtype=bool), one, one, one)

    def __len__(self) -> int:
        return len(self.length_B)

    @property
    def step_B(self) -> np.ndarray:
        """Source samples that pass in one output sample."""
        return self.tempo_B * self.resample_B

    @property
    def heard_B(self) -> np.ndarray:
        """How many output samples show the source, int64; the others are silence around it."""
        step = self.step_B
        first = np.where(self.wrap_B, 0, np.maximum(0, -self.start_B))
        rest = np.where(self.wrap_B, self.length_B, np.minimum(self.length_B, self.length_B - self.start_B))
        return np.clip(np.ceil(rest / step), 0, np.maximum(0, self.samples - np.floor(first / step))).astype(np.int64)

    def changed_since(self, before: AudioView) -> np.ndarray:
        """Which samples audio clip otherwise than in `before`, the view this one was drawn from: bool (B,)."""
        changed_B = np.zeros(len(self), dtype=bool)
        for now, then in (
            (self.start_B, before.start_B),
            (self.tempo_B, before.tempo_B),
            (self.resample_B, before.resample_B),
            (self.gain_B, before.gain_B),
        ):
            changed_B |= now != then
        if self.response_BF is not None:
            changed_B |= (self.response_BF != (0 if before.response_BF is None else before.response_BF)).any(axis=1)
        pairs: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...] = (
            (self.reverbs, before.reverbs), (self.noises, before.noises), (self.codecs, before.codecs), (self.gaps, before.gaps)
        )  # fmt: skip
        for parts, others in pairs:
            for part in parts[len(others) :]:
                changed_B |= part.acts_B
        return changed_B

    def shifted(self, samples_B: np.ndarray, *, wrap: bool) -> AudioView:
        """The audio clip later by so many output samples (earlier where negative)."""
        start = self.start_B - samples_B * self.step_B
        return replace(self, start_B=start, wrap_B=self.wrap_B | (wrap & (samples_B != 0)))

    def stretched(self, factor_B: np.ndarray) -> AudioView:
        """So many times faster at the same pitch, about the same middle where the source is longer than the output."""
        return self._refitted(replace(self, tempo_B=self.tempo_B * factor_B))

    def sped(self, factor_B: np.ndarray) -> AudioView:
        """So many times faster, and as many times higher."""
        return self._refitted(replace(self, resample_B=self.resample_B * factor_B))

    def pitched(self, factor_B: np.ndarray) -> AudioView:
        """So many times higher at the same speed."""
        return replace(self, tempo_B=self.tempo_B / factor_B, resample_B=self.resample_B * factor_B)

    def filtered(self, response_BF: np.ndarray) -> AudioView:
        """Through one more filter, decibels at RESPONSE_POINTS frequencies."""
        return replace(self, response_BF=response_BF if self.response_BF is None else self.response_BF + response_BF)

    def amplified(self, factor_B: np.ndarray) -> AudioView:
        return replace(self, gain_B=self.gain_B * factor_B)

    def reverberated(self, reverb: Reverb) -> AudioView:
        return replace(self, reverbs=(*self.reverbs, reverb))

    def noised(self, noise: AudioNoise) -> AudioView:
        return replace(self, noises=(*self.noises, noise))

    def coded(self, codec: AudioCodec) -> AudioView:
        return replace(self, codecs=(*self.codecs, codec))

    def silenced(self, gap: Gap) -> AudioView:
        return replace(self, gaps=(*self.gaps, gap))

    def frequencies(self) -> np.ndarray:
        """Where the response is given, Hz, (RESPONSE_POINTS,)."""
        return np.linspace(0, self.rate / 2, RESPONSE_POINTS)

    def _refitted(self, faster: AudioView) -> AudioView:
        """The start moved so that the middle of the output still shows what it showed, within the source's ends."""
        start = self.start_B + (self.step_B - faster.step_B) * self.samples / 2
        latest = faster.length_B - self.samples * faster.step_B
        inside = np.clip(start, np.minimum(0, latest), np.maximum(0, latest))
        # A source that fits keeps its beginning; one that is cut keeps its middle.
        keep = (self.start_B <= 0) & (latest <= 0)
        return replace(faster, start_B=np.where(keep | self.wrap_B, self.start_B, inside))
