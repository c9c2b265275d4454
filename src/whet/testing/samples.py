"""Synthetic samples of every medium, and small networks for them."""

from __future__ import annotations

import functools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.core.audio_view import AudioView
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IGNORE
from whet.core.rng import Rng
from whet.core.task import Task
from whet.core.text_view import TextView
from whet.core.view import ImageView
from whet.models.front import AudioFront, TextFront
from whet.models.mel import MelSettings
from whet.models.net import FEATURES, FeatureHead, Net, NetSpec, new_head, with_head
from whet.models.token_vectors import TokenVectors
from whet.models.tokens import Tokens
from whet.render.audio import AudioRenderer
from whet.render.image_cpu import CpuRenderer
from whet.render.masks import warped_mask
from whet.render.text import render_texts
from whet.tasks import PRETRAINING, SEMANTIC_SEGMENTATION, SINGLE_LABEL

CLASSES = ("glass", "metal", "paper")
NUM_SAMPLES, BATCH_SIZE, IMAGE_SIZE, AUDIO_RATE = 24, 8, 16, 8_000
LABELS = np.array([0] * 12 + [1] * 8 + [2] * 4)  # imbalanced, so that balancing methods have an effect


class Labelled:
    """Samples with one class each. rows: the number of each sample. labels: its class."""

    task: Task = SINGLE_LABEL

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        self.labels = labels

    def targets(self, view: Any, index_B: np.ndarray) -> Any:
        """The targets of these samples, as the view shows them."""
        return SINGLE_LABEL.targets(self.labels[index_B], len(CLASSES))


class Images(Labelled):
    """Noise images of 24 x 20 pixels."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(rows, labels)
        self._images = _noise_images()[rows]

    def view(self, index_B: np.ndarray) -> ImageView:
        return ImageView.whole([(20, 24)] * len(index_B), (IMAGE_SIZE, IMAGE_SIZE))

    def render(self, view: ImageView, index_B: np.ndarray) -> np.ndarray:
        renderer, out = CpuRenderer(view), np.empty((len(index_B), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
        for i, index in enumerate(index_B):
            renderer.render(i, self._images[index], out[i])
        return out

    @staticmethod
    def net() -> Net:
        backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        return Net(NetSpec("zoo", "bench", CLASSES, (0.5,) * 3, (0.25,) * 3), backbone, new_head(4, len(CLASSES)))


class MaskedImages(Images):
    """The same images with masks: a rectangle of the image's class before the first class, and two ignored columns."""

    task = SEMANTIC_SEGMENTATION

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(rows, labels)
        self.masks = np.zeros((len(rows), 20, 24), dtype=np.uint8)
        for mask_HW, row, label in zip(self.masks, rows, labels):
            mask_HW[3 + row % 5 : 12, 4 : 12 + row % 7] = label
        self.masks[:, :, -2:] = IGNORE

    def view(self, index_B: np.ndarray) -> ImageView:
        maps = tuple(partial(self.masks.__getitem__, index) for index in index_B.tolist())
        return replace(super().view(index_B), class_maps=maps)

    def targets(self, view: ImageView, index_B: np.ndarray) -> MaskTargets:
        shown = [warped_mask(view, i, self.masks[index], IGNORE) for i, index in enumerate(index_B)]
        return MaskTargets.of(torch.from_numpy(np.stack(shown)), self.task, len(CLASSES))

    @staticmethod
    def net() -> Net:
        backbone = nn.Sequential(*(_reducing(inputs, outputs) for inputs, outputs in ((3, 4), (4, 4), (4, 6))))
        spec = NetSpec("zoo", "bench", CLASSES, (0.5,) * 3, (0.25,) * 3, task="semantic-segmentation", head="fpn")
        return with_head(spec, backbone, 6)


def _reducing(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Texts(Labelled):
    """Texts of two sentences with three to six words each."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(rows, labels)
        self._texts = [example_texts()[row] for row in rows]

    def view(self, index_B: np.ndarray) -> TextView:
        return TextView.whole([self._texts[index] for index in index_B], self.labels[index_B])

    def render(self, view: TextView, index_B: np.ndarray) -> list[str]:
        return render_texts(view)

    @staticmethod
    def net() -> Net:
        tokens = _tokens()
        spec = NetSpec("zoo", "bench", CLASSES, medium="text")
        return Net(spec, _MeanOfWords(len(tokens), tokens.pad_id), new_head(4, len(CLASSES)), TextFront(tokens))


class AudioClips(Labelled):
    """Audio clips of 0.1 seconds: a tone with noise."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(rows, labels)
        self._waves = _tones()[rows]

    def view(self, index_B: np.ndarray) -> AudioView:
        return AudioView.whole([AUDIO_RATE // 10] * len(index_B), AUDIO_RATE, AUDIO_RATE // 10)

    def render(self, view: AudioView, index_B: np.ndarray) -> np.ndarray:
        renderer, out = AudioRenderer(view), np.zeros((len(index_B), view.samples), dtype=np.float32)
        for i, index in enumerate(index_B):
            renderer.render(i, self._waves[index], out[i])
        return out

    @staticmethod
    def net() -> Net:
        backbone = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        mel = MelSettings(rate=AUDIO_RATE, n_fft=256, window=256, hop=80, mels=16, high=AUDIO_RATE / 2)
        spec = NetSpec("zoo", "bench", CLASSES, (0.0,), (1.0,), medium="audio")
        return Net(spec, backbone, new_head(4, len(CLASSES)), AudioFront(mel))


class _WithoutLabels:
    """The samples of another class, for a pre-training."""

    task: Task = PRETRAINING
    labels: np.ndarray

    def targets(self, view: Any, index_B: np.ndarray) -> Any:
        return PRETRAINING.collate(self.labels[index_B], len(CLASSES), None)


def _returning_features(net: Net) -> Net:
    net.spec, net.head = replace(net.spec, task=PRETRAINING.name, head=FEATURES), FeatureHead(net.width)
    return net


class ImagesWithoutLabels(_WithoutLabels, Images):
    @staticmethod
    def net() -> Net:
        return _returning_features(Images.net())


class TextsWithoutLabels(_WithoutLabels, Texts):
    @staticmethod
    def net() -> Net:
        return _returning_features(Texts.net())


class AudioClipsWithoutLabels(_WithoutLabels, AudioClips):
    @staticmethod
    def net() -> Net:
        return _returning_features(AudioClips.net())


class _MeanOfWords(nn.Module):
    """Token ids (B, L) -> (B, 4)."""

    def __init__(self, vocabulary: int, pad_id: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 4, padding_idx=pad_id)
        self.vectors = TokenVectors()
        self.mix = nn.Linear(4, 4)
        self._pad_id = pad_id

    states_width = 4

    @property
    def table(self) -> nn.Embedding:
        return self.embedding

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        return self.vectors(self.embedding(ids_BL), ids_BL != self._pad_id)

    def forward(self, ids_BL: Tensor) -> Tensor:
        x_BLD, real_BL = self.states(ids_BL)
        seen = real_BL.unsqueeze(2)
        return torch.relu(self.mix((x_BLD * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)))


# All benches show the same samples: they are made once and copied.
@functools.cache
def _noise_images() -> np.ndarray:
    return Rng(5).batch("images", 0, np.arange(NUM_SAMPLES)).uniform(0, 256, (20, 24, 3)).astype(np.uint8)


@functools.cache
def _tones() -> np.ndarray:
    noise = Rng(5).batch("audio", 0, np.arange(NUM_SAMPLES)).uniform(-0.1, 0.1, (AUDIO_RATE // 10,))
    tone = np.sin(2 * np.pi * np.arange(10, 10 + NUM_SAMPLES)[:, None] * 40 * np.arange(AUDIO_RATE // 10) / AUDIO_RATE)
    return (noise + 0.3 * tone).astype(np.float32)


@functools.cache
def _tokens() -> Tokens:
    return Tokens.train(example_texts())


@functools.cache
def example_texts() -> list[str]:
    words = ("old", "small", "red", "glass", "bottle", "paper", "box", "metal", "can", "lid", "heavy", "clean", "dirty")
    drawn_N = Rng(5).batch("texts", 0, np.arange(NUM_SAMPLES)).uniform(shape=(14,))
    found = []
    for drawn in drawn_N:
        sentence = [words[int(unit * len(words))] for unit in drawn[2:]]
        first, second = (3 + int(4 * unit) for unit in drawn[:2])
        found.append(f"The {' '.join(sentence[:first])}. A {' '.join(sentence[first : first + second])}!")
    return found


SAMPLES: dict[str, Any] = {
    "image-classification": Images,
    "text-classification": Texts,
    "audio-classification": AudioClips,
    "semantic-segmentation": MaskedImages,
    "image-pretraining": ImagesWithoutLabels,
    "text-pretraining": TextsWithoutLabels,
    "audio-pretraining": AudioClipsWithoutLabels,
}
"""The samples of each task that whet trains; the first task that a method supports is its main task."""
