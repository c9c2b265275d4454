"""Images as bags of tiles: the backbone runs on each tile, and gated attention pools their vectors.

Source: Ilse, Tomczak, Welling 2018, arXiv:1802.04712.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from whet.models.attach import attach_after, attach_before

_NAME = "multiple_instance"


class GatedAttention(nn.Module):
    """Vectors (B * T, D) of the T tiles of each image -> their means (B, D), with the weights
    softmax_t(w' (tanh(V h_t) * sigmoid(U h_t))). tiles: T, set by the module that cuts the images."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.tanh, self.gate = nn.Linear(features, hidden), nn.Linear(features, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.tiles = 1

    def weights(self, vectors_BTD: Tensor) -> Tensor:
        """(B, T), with sum 1."""
        hidden_BTH = self.tanh(vectors_BTD).tanh() * self.gate(vectors_BTD).sigmoid()
        return self.score(hidden_BTH)[..., 0].float().softmax(dim=1)

    def forward(self, vectors_ND: Tensor) -> Tensor:
        vectors_BTD = vectors_ND.unflatten(0, (-1, self.tiles))
        return (self.weights(vectors_BTD)[..., None].to(vectors_ND) * vectors_BTD).sum(dim=1)


class _Cut(nn.Module):
    """Images (B, C, H, W) -> their tiles (B * T, C, h, w), those of an image one after the other, row by row. pool: gets T; in a
    tuple, so that it is no child."""

    def __init__(self, side: int, pool: GatedAttention) -> None:
        super().__init__()
        self.side, self.pool = side, (pool,)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        (height, width), (h, w) = x_BCHW.shape[2:], (-(-one // self.side) for one in x_BCHW.shape[2:])
        tiles = [
            x_BCHW[:, :, y : y + h, x : x + w]
            for y in starts(height, h, self.side)
            for x in starts(width, w, self.side)
        ]
        self.pool[0].tiles = len(tiles)
        return torch.stack(tiles, dim=1).flatten(0, 1)


def starts(size: int, tile: int, count: int) -> list[int]:
    """Where tiles begin along a side: evenly spaced, the last one ends at the edge. Where the side is no multiple, they overlap."""
    return [round(place * (size - tile) / (count - 1)) for place in range(count)] if count > 1 else [0]


def pool_tiles(backbone: nn.Module, features: int, side: int, hidden: int) -> None:
    """Let a backbone for images (B, C, H, W) -> vectors (B, D) cut them into side x side tiles, and pool. Renames nothing."""
    pool = GatedAttention(features, hidden)
    attach_before(backbone, f"{_NAME}_tiles", _Cut(side, pool))
    attach_after(backbone, _NAME, pool)


def pooling_of(backbone: nn.Module) -> GatedAttention | None:
    """The pooling of a backbone that sees tiles."""
    return next((module for module in backbone.modules() if isinstance(module, GatedAttention)), None)
