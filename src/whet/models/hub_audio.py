"""Audio encoders of the `transformers` library: from a local folder or a hub name, safetensors only, never remote code."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from whet.core.errors import WeightsError
from whet.core.language import Sentence
from whet.core.spec import ModelSpec
from whet.models.front import AudioFront, WaveFront
from whet.models.hub_access import hub_is_reachable, is_local, library, load_checked, load_encoder, reload
from whet.models.mel import KALDI_MEL

_OF_WAVES = (
    "data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wav2vec2-conformer", "wavlm",
)  # fmt: skip
_OF_SPECTROGRAMS = ("audio-spectrogram-transformer",)


class AudioEncoder(nn.Module):
    """A transformers encoder: one vector per audio clip (B, D), `features` = D. For waves (B, T) the mean over time; for
    spectrograms (B, 1, frames, mels) the encoder's own pooled output. `extractor`: the feature extractor of transformers, saved
    with the encoder."""

    def __init__(self, model: nn.Module, extractor: Any) -> None:
        super().__init__()
        self.model, self.extractor = model, extractor
        config = cast(Any, model).config
        self.model_type = str(config.model_type)
        self.features = int(config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        if self.model_type in _OF_SPECTROGRAMS:
            return cast(Tensor, self.model(input_values=x[:, 0]).pooler_output)
        return cast(Tensor, self.model(input_values=x).last_hidden_state.mean(dim=1))


def build(spec: ModelSpec) -> tuple[AudioEncoder, AudioFront, list[Sentence]]:
    """The encoder with its weights (random for `none`), its front, and notes."""
    transformers = library()
    name = spec.architecture if spec.weights == "none" else spec.weights
    offline = is_local(name) or not hub_is_reachable()
    config = load_checked(lambda: transformers.AutoConfig.from_pretrained(name, local_files_only=offline), name)
    known = (*_OF_WAVES, *_OF_SPECTROGRAMS)
    if config.model_type not in known:
        raise WeightsError(f"'{name}' is a {config.model_type}; accepted for audio clips: {', '.join(sorted(known))}")
    extractor = load_checked(lambda: _extractor(name, offline), name)
    # The mask embedding of the pre-training may be missing.
    model, note = load_encoder(transformers.AutoModel, spec, config, "masked_spec", offline=offline)
    return *_wrapped(model, extractor), [note]


def save(encoder: AudioEncoder, folder: Path) -> None:
    """config.json, preprocessor_config.json and model.safetensors as transformers' Auto classes read them."""
    save_config(encoder, folder)
    cast(Any, encoder.model).save_pretrained(folder)


def save_config(encoder: AudioEncoder, folder: Path) -> None:
    """Write everything except the weights."""
    cast(Any, encoder.model).config.save_pretrained(folder)
    encoder.extractor.save_pretrained(folder)


def load(folder: Path) -> tuple[AudioEncoder, AudioFront]:
    """Load the encoder and the front of a model folder."""
    return _wrapped(reload(library().AutoModel, folder), _extractor(folder))


def load_bare(folder: Path) -> tuple[AudioEncoder, AudioFront]:
    """The encoder of a configuration written by `save_config`, with random weights, and its front."""
    transformers = library()
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModel.from_config(config, dtype=torch.float32)
    return _wrapped(model, _extractor(folder))


def _extractor(name: str | Path, offline: bool = True) -> Any:
    with warnings.catch_warnings():  # about an empty mel band, which the published encoder has
        warnings.simplefilter("ignore", UserWarning)
        return library().AutoFeatureExtractor.from_pretrained(name, local_files_only=offline)


def _wrapped(model: Any, extractor: Any) -> tuple[AudioEncoder, AudioFront]:
    # Its own masking of inputs would use random draws that our seed does not control.
    model.config.apply_spec_augment = False
    return AudioEncoder(model, extractor), _front(model.config, extractor)


def _front(config: Any, extractor: Any) -> AudioFront:
    rate = int(extractor.sampling_rate)
    if config.model_type in _OF_WAVES:
        kernels, strides = config.conv_kernel, config.conv_stride
        least = 1 + sum((kernel - 1) * math.prod(strides[:place]) for place, kernel in enumerate(kernels))
        return WaveFront(rate, level=bool(extractor.do_normalize), least=least)
    mel = replace(KALDI_MEL.at_rate(rate), mels=int(extractor.num_mel_bins))
    mean, std = (extractor.mean, 2 * extractor.std) if extractor.do_normalize else (0.0, 1.0)
    return AudioFront(mel, mean, std, frames=int(extractor.max_length))
