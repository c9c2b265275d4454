"""Small networks for audio clips, written here.

Each entry builds a backbone (B, 1, frames, mels) -> (B, D) with random weights and gives D, and names the spectrogram
that it wants. `width` multiplies its channels, `depth` its layers of one size. Modules are named in depth order.
"""

from dataclasses import dataclass

from whet.models.mel import YAMNET_MEL, MelSettings
from whet.models.zoo import Builder
from whet.models.zoo_audio.audio_cnn import audio_cnn
from whet.models.zoo_audio.yamnet import load_yamnet, yamnet


@dataclass(frozen=True)
class AudioArchitecture:
    """`build` makes the backbone, `mel` is its front end. fixed_rate: whether other rates are resampled to the front end's; else it
    may be set up for the data's own rate (`mel.at_rate`). standardise: whether spectrograms are brought to mean 0 and
    deviation 1."""

    build: Builder
    mel: MelSettings
    fixed_rate: bool
    standardise: bool


AUDIO_ZOO: dict[str, AudioArchitecture] = {
    "yamnet": AudioArchitecture(yamnet, YAMNET_MEL, fixed_rate=True, standardise=False),
    "audio_cnn": AudioArchitecture(audio_cnn, MelSettings(), fixed_rate=False, standardise=True),
}

__all__ = ["AUDIO_ZOO", "AudioArchitecture", "load_yamnet"]
