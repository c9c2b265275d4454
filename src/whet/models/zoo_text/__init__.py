"""Small text networks, to train from scratch.

Each entry builds a backbone, token ids (B, L) int64 -> (B, D), with random weights, and returns it with D. words: every token of
the vocabulary, an empty string for special tokens. Padding, where ids are `pad_id`, never changes an output. `width` multiplies its
features, `depth` its layers. Modules are named in depth order, and a residual branch ends in a layer `drop_path`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from torch import nn

from whet.models.zoo_text.fast_text import fast_text
from whet.models.zoo_text.text_cnn import text_cnn
from whet.models.zoo_text.text_transformer import text_transformer
from whet.models.zoo_text.tf_idf import tf_idf


class TextBuilder(Protocol):
    def __call__(
        self, words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1
    ) -> tuple[nn.Module, int]: ...


@runtime_checkable
class LearnsFromTexts(Protocol):
    """A backbone that is fitted on the training texts before its weights are used."""

    def learn(self, texts: Iterable[np.ndarray]) -> None:
        """texts: the token ids of all texts, int64 (B, L), padded."""
        ...


TEXT_ZOO: dict[str, TextBuilder] = {
    "fast_text": fast_text,
    "text_cnn": text_cnn,
    "text_transformer": text_transformer,
    "tf_idf": tf_idf,
}

__all__ = ["TEXT_ZOO", "LearnsFromTexts"]
