"""A small Vision Transformer. Source: Dosovitskiy et al. 2021, arXiv:2010.11929; the sizes of "tiny" from Touvron et al. 2021,
arXiv:2012.12877.

Deviates: fixed sine positions and the mean of the tokens, after Beyer, Zhai, Kolesnikov 2022, arXiv:2205.01580, so that images
of any size can be used; patches of 8 px instead of 16, for small images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HEADS, _HEAD_WIDTH, _BLOCKS, _PATCH = 3, 64, 12, 8
_GRID = 14  # patches per side in the published networks


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        B, N, D = x_BND.shape
        query, key, value = self.qkv(x_BND).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4).unbind()
        seen_BHNd = F.scaled_dot_product_attention(query, key, value)
        return self.proj(seen_BHNd.transpose(1, 2).reshape(B, N, D))


class Block(nn.Module):
    """Tokens (B, N, D) -> (B, N, D): self-attention and two layers, each after a LayerNorm and with a residual connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop_path = nn.Identity()  # end of both branches, for methods

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.drop_path(self.attention(self.norm1(x_BND)))
        return x_BND + self.drop_path(self.mlp(self.norm2(x_BND)))


class VisionTransformer(nn.Module):
    """Images (B, 3, H, W) of at least one patch -> the mean token (B, D), D = 64 for each attention head."""

    def __init__(self, patch: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.side, self.width = patch, _HEAD_WIDTH * heads
        self.patches = nn.Conv2d(3, self.width, patch, stride=patch)
        self.layers = nn.Sequential(*(Block(self.width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(self.width, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.encode(self.embed(x_BCHW)).mean(dim=1)

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """The tokens of the patches with their positions, (B, N, D), row by row."""
        x_BDHW = self.patches(x_BCHW)
        return (x_BDHW + positions(x_BDHW)).flatten(2).transpose(1, 2)

    def encode(self, x_BND: Tensor) -> Tensor:
        """Any of these tokens through all blocks, (B, N, D)."""
        return self.norm(self.layers(x_BND))


def positions(x_BDHW: Tensor) -> Tensor:
    """Sines and cosines of row and column, (D, H, W), D a multiple of four. Rows and columns are scaled to a grid of 14 x 14 for
    any number of patches, so that a point of the image has the same position at any image size."""
    width, (rows, columns) = x_BDHW.shape[1], x_BDHW.shape[2:]
    row_H = (torch.arange(rows, device=x_BDHW.device) + 0.5) * (_GRID / rows)
    column_W = (torch.arange(columns, device=x_BDHW.device) + 0.5) * (_GRID / columns)
    frequency_F = 10_000 ** -(torch.arange(width // 4, device=x_BDHW.device) / (width // 4 - 1))
    y = (frequency_F[:, None] * row_H)[:, :, None].expand(-1, -1, columns)
    x = (frequency_F[:, None] * column_W)[:, None, :].expand(-1, rows, -1)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()]).to(x_BDHW.dtype)


def vit_tiny(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Three heads (times `width`: two is ViT-S, four is ViT-B) of 64 features each, twelve blocks (times `depth`)."""
    backbone = VisionTransformer(_PATCH, max(1, round(_HEADS * width)), _BLOCKS * depth)
    return backbone, backbone.width
