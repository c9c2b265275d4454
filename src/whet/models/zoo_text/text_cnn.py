"""A convolutional network over words. Source: Kim 2014, arXiv:1408.5882 ("Convolutional neural networks for sentence
classification").

Deviates: vectors of size 128 trained from scratch instead of 300 pretrained. Its dropout of 0.5 is the method `dropout`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.token_vectors import TokenVectors

_WIDTH, _MAPS, _SPANS = 128, 100, (3, 4, 5)


class TextCNN(nn.Module):
    """Token ids (B, L) -> the maximum over the text of every convolution output, (B, 3 * maps)."""

    def __init__(self, vocabulary: int, pad_id: int, width: int, maps: int, layers: int) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.vectors = TokenVectors()
        self.layers = nn.ModuleList(_Detectors(width if k == 0 else len(_SPANS) * maps, maps) for k in range(layers))

    def forward(self, ids_BL: Tensor) -> Tensor:
        x_BLD, real_BL = self.vectors(self.tokens(ids_BL), ids_BL != self.pad_id)
        x_BDL, real_B1L = x_BLD.transpose(1, 2), real_BL[:, None]
        for layer in self.layers:
            x_BDL = F.relu(layer(x_BDL * real_B1L))
        return x_BDL.masked_fill(~real_B1L, 0.0).amax(dim=2)


class _Detectors(nn.Module):
    """Parallel convolutions over 3, 4 and 5 tokens: (B, D, L) -> (B, 3 * maps, L)."""

    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        self.spans = nn.ModuleList(nn.Conv1d(width, maps, span, padding=span // 2) for span in _SPANS)

    def forward(self, x_BDL: Tensor) -> Tensor:
        length = x_BDL.shape[2]  # an even kernel size gives one more
        return torch.cat([conv(x_BDL)[:, :, :length] for conv in self.spans], dim=1)


def text_cnn(words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Vectors of size 128 and 100 maps per kernel size (times `width`), in `depth` layers."""
    maps = max(1, round(_MAPS * width))
    return TextCNN(len(words), pad_id, max(1, round(_WIDTH * width)), maps, depth), len(_SPANS) * maps
