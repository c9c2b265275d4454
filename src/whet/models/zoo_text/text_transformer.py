"""A small transformer encoder. Source: Vaswani et al. 2017, arXiv:1706.03762; norms before the branches after Xiong et al. 2020,
arXiv:2002.04745.

Deviates: fixed sine positions, and the mean of the tokens as the text's features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.token_vectors import TokenVectors

_HEADS, _HEAD_WIDTH, _BLOCKS = 4, 32, 2
_LONGEST_WAVE = 10_000


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BLD: Tensor, seen_B11L: Tensor) -> Tensor:
        B, L, D = x_BLD.shape
        query, key, value = self.qkv(x_BLD).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4).unbind()
        found_BHLd = F.scaled_dot_product_attention(query, key, value, attn_mask=seen_B11L)
        return self.proj(found_BHLd.transpose(1, 2).reshape(B, L, D))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop_path = nn.Identity()  # end of both branches, for methods

    def forward(self, x_BLD: Tensor, seen_B11L: Tensor) -> Tensor:
        x_BLD = x_BLD + self.drop_path(self.attention(self.norm1(x_BLD), seen_B11L))
        return x_BLD + self.drop_path(self.mlp(self.norm2(x_BLD)))


class TextTransformer(nn.Module):
    """Token ids (B, L) -> the mean of its tokens (B, D), D = 32 for each attention head."""

    def __init__(self, vocabulary: int, pad_id: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.pad_id, self.width = pad_id, _HEAD_WIDTH * heads
        self.tokens = nn.Embedding(vocabulary, self.width)
        self.vectors = TokenVectors()
        self.layers = nn.ModuleList(_Block(self.width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(self.width)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    @property
    def table(self) -> nn.Embedding:
        return self.tokens

    @property
    def states_width(self) -> int:
        return self.width

    def forward(self, ids_BL: Tensor) -> Tensor:
        return mean_of_tokens(*self.states(ids_BL))

    def states(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """The token vectors after the last block, (B, L, D), and the mask of non-padding tokens, (B, L)."""
        real_BL = ids_BL != self.pad_id
        x_BLD, real_BL = self.vectors(self.tokens(ids_BL) * self.width**0.5, real_BL)
        x_BLD = x_BLD + _positions(ids_BL.shape[1], self.width, x_BLD)
        seen_B11L = real_BL[:, None, None]
        for block in self.layers:
            x_BLD = block(x_BLD, seen_B11L)
        return self.norm(x_BLD), real_BL


def mean_of_tokens(x_BLD: Tensor, real_BL: Tensor) -> Tensor:
    """The mean over the non-padding tokens, (B, D)."""
    real_BL1 = real_BL[:, :, None].to(x_BLD.dtype)
    return (x_BLD * real_BL1).sum(1) / real_BL1.sum(1).clamp(min=1)


def _positions(length: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of the position, (L, D), D even."""
    place_L = torch.arange(length, device=like.device)
    frequency_F = _LONGEST_WAVE ** -(torch.arange(width // 2, device=like.device) / (width // 2))
    angle_LF = place_L[:, None] * frequency_F
    return torch.cat([angle_LF.sin(), angle_LF.cos()], dim=1).to(like.dtype)


def text_transformer(words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Four heads (times `width`) of 32 features each, two blocks (times `depth`)."""
    backbone = TextTransformer(len(words), pad_id, max(1, round(_HEADS * width)), _BLOCKS * depth)
    return backbone, backbone.width
