"""Small audio networks.

Each entry builds a backbone (B, 1, frames, mels) -> (B, D) with random weights and returns it with D, and defines the spectrogram
that it needs. `width` multiplies its channels, `depth` its layers per stage. Modules are named in depth order.
"""

from dataclasses import dataclass

from whet.models.mel import YAMNET_MEL, MelSettings
from whet.models.zoo import Builder
from whet.models.zoo_audio.audio_cnn import audio_cnn
from whet.models.zoo_audio.yamnet import load_yamnet, yamnet


@dataclass(frozen=True)
class AudioArchitecture:
    """`build` creates the backbone, `mel` is its front end. fixed_rate: whether other rates are resampled to that of the front end;
    otherwise the front end uses the rate of the data (`mel.at_rate`). standardise: whether spectrograms are standardised to mean 0
    and standard deviation 1."""

    build: Builder
    mel: MelSettings
    fixed_rate: bool
    standardise: bool


AUDIO_ZOO: dict[str, AudioArchitecture] = {
    "yamnet": AudioArchitecture(yamnet, YAMNET_MEL, fixed_rate=True, standardise=False),
    "audio_cnn": AudioArchitecture(audio_cnn, MelSettings(), fixed_rate=False, standardise=True),
}

__all__ = ["AUDIO_ZOO", "AudioArchitecture", "load_yamnet"]
