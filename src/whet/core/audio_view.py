"""The view of a batch of audio clips: the transforms requested by SAMPLE methods, as arrays. Methods change the view only; one
renderer then renders each audio clip once.

Time is counted in samples at the view's rate. All changes of speed, tempo and pitch combine into two numbers: one time stretch
at constant pitch and one resampling. All gains and polarities combine into one factor, all filters into one frequency response.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

RESPONSE_POINTS = 513


@dataclass(frozen=True)
class Reverb:
    """Reverberation: the audio clip is convolved with an impulse response and keeps its level.

    seconds_B: time in which the reverberation decays by 60 dB; 0 means no reverberation. The tail is decaying noise drawn from
    key_B (uint32). wet_db_B: energy of the tail in decibels relative to the direct sound. files: recorded impulse responses to use
    instead; key_B selects one. seconds_B then only marks the clips with reverberation.
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
    """Noise added at a signal-to-noise ratio in decibels, one per sample; inf means no noise. A silent audio clip gets none. The
    noise is drawn from key_B (uint32): noise of the given colour, or a segment of one of `files`. The signal level is measured on
    the audible part, without padding."""

    kind: Literal["white", "pink", "brown", "files"]
    snr_db_B: np.ndarray
    key_B: np.ndarray
    files: tuple[str, ...] = ()

    @property
    def acts_B(self) -> np.ndarray:
        return np.isfinite(self.snr_db_B)


@dataclass(frozen=True)
class AudioCodec:
    """Degradation of a poor channel, with one setting per sample; 0 leaves the sample unchanged. "clip": the share of samples, the
    loudest, that are clipped to the loudest of the rest. "quantise": the number of bits, 1 or more, to which the coefficients of a
    lapped transform are rounded in every band, by MP3's power law."""

    kind: Literal["clip", "quantise"]
    setting_B: np.ndarray

    @property
    def acts_B(self) -> np.ndarray:
        return self.setting_B > 0


@dataclass(frozen=True)
class Gap:
    """Segments of silence. span_BN2: int, the first output sample and the one after the last; empty where last <= first. Each edge
    is faded over up to `fade` samples."""

    span_BN2: np.ndarray
    fade: int = 0

    @property
    def acts_B(self) -> np.ndarray:
        return np.any(self.span_BN2[..., 1] > self.span_BN2[..., 0], axis=1)


@dataclass(frozen=True)
class AudioView:
    """The requested transforms of one batch of audio clips. By default, each clip is shown from its start, a longer one from its
    centre.

    length_B: length of each source in samples at `rate`. samples: T, the output length in samples. start_B: first source sample
    of the output; positions outside the source are silent. wrap_B: wrap around instead of padding with silence. tempo_B: speed
    factor at constant pitch. resample_B: speed factor that also raises the pitch. response_BF: gain in decibels of a zero-delay
    filter at RESPONSE_POINTS frequencies, evenly spaced from 0 to half the rate. gain_B: a factor, negative for inverted polarity.

    Rendering order: source segment, tempo, resampling, filter, reverbs, noises, gain, codecs, gaps. Nothing is clipped to
    -1 … 1.
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
        """Source samples per output sample."""
        return self.tempo_B * self.resample_B

    @property
    def signal_samples_B(self) -> np.ndarray:
        """Number of output samples that contain the source, int64; the others are silent padding."""
        step = self.step_B
        first = np.where(self.wrap_B, 0, np.maximum(0, -self.start_B))
        rest = np.where(self.wrap_B, self.length_B, np.minimum(self.length_B, self.length_B - self.start_B))
        return np.clip(np.ceil(rest / step), 0, np.maximum(0, self.samples - np.floor(first / step))).astype(np.int64)

    def changed_since(self, before: AudioView) -> np.ndarray:
        """Which samples differ from `before`, the view this one was derived from: bool (B,)."""
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
        """Shift the audio clip later by this many output samples (earlier where negative)."""
        start = self.start_B - samples_B * self.step_B
        return replace(self, start_B=start, wrap_B=self.wrap_B | (wrap & (samples_B != 0)))

    def stretched(self, factor_B: np.ndarray) -> AudioView:
        """Change the speed by a factor at constant pitch. A source longer than the output keeps its centre."""
        return self._refitted(replace(self, tempo_B=self.tempo_B * factor_B))

    def sped(self, factor_B: np.ndarray) -> AudioView:
        """Change the speed by a factor, and the pitch with it."""
        return self._refitted(replace(self, resample_B=self.resample_B * factor_B))

    def pitched(self, factor_B: np.ndarray) -> AudioView:
        """Raise the pitch by a factor at constant speed."""
        return replace(self, tempo_B=self.tempo_B / factor_B, resample_B=self.resample_B * factor_B)

    def filtered(self, response_BF: np.ndarray) -> AudioView:
        """Add a filter: decibels at RESPONSE_POINTS frequencies."""
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
        """The frequencies of the response in Hz, (RESPONSE_POINTS,)."""
        return np.linspace(0, self.rate / 2, RESPONSE_POINTS)

    def _refitted(self, faster: AudioView) -> AudioView:
        """Move the start so that the centre of the output stays the same, within the source's ends."""
        start = self.start_B + (self.step_B - faster.step_B) * self.samples / 2
        latest = faster.length_B - self.samples * faster.step_B
        inside = np.clip(start, np.minimum(0, latest), np.maximum(0, latest))
        # A source that fits keeps its start; a longer one keeps its centre.
        keep = (self.start_B <= 0) & (latest <= 0)
        return replace(faster, start_B=np.where(keep | self.wrap_B, self.start_B, inside))
