"""A bag of words and word n-grams. Source: Joulin et al. 2016, arXiv:1607.01759 ("Bag of tricks for efficient text
classification").

Deviates: n-grams go into 32,768 buckets in place of two million, and the bag is divided by the root of its size in place
of its size, so that a long text does not fade. Layers behind the bag, which `depth` asks for, are those of Iyyer et al.
2015 (deep averaging networks).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from whet.models.token_vectors import TokenVectors

_WIDTH, _LONGEST, _BUCKETS = 64, 2, 1 << 15
_PRIME, _MIX = 1_000_003, 0x5BD1E995  # odd multipliers of a hash; overflow wraps around, as it should


class FastText(nn.Module):
    """Token ids (B, L) -> the sum of the vectors of all their n-grams, over the root of how many there are: (B, D)."""

    def __init__(self, vocabulary: int, pad_id: int, width: int, layers: int, longest: int = _LONGEST) -> None:
        super().__init__()
        self.pad_id, self.longest = pad_id, longest
        self.tokens = nn.Embedding(vocabulary, width)
        self.ngrams = nn.Embedding(_BUCKETS, width)
        for table in (self.tokens, self.ngrams):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.vectors = TokenVectors()
        self.layers = nn.Sequential(*(nn.Sequential(nn.ReLU(), nn.Linear(width, width)) for _ in range(layers)))

    def forward(self, ids_BL: Tensor) -> Tensor:
        real = [ids_BL != self.pad_id]
        x = [self.tokens(ids_BL)]
        for hash_BM, real_BM in _ngrams(ids_BL, real[0], self.longest):
            x.append(self.ngrams(hash_BM))
            real.append(real_BM)
        x_BMD, real_BM = self.vectors(torch.cat(x, dim=1), torch.cat(real, dim=1))
        total_BD = torch.einsum("bmd,bm->bd", x_BMD, real_BM.to(x_BMD.dtype))
        return self.layers(total_BD / real_BM.sum(1).clamp(min=1).sqrt()[:, None])


def _ngrams(ids_BL: Tensor, real_BL: Tensor, longest: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The bucket of every run of 2 … `longest` tokens, (B, L - n + 1), and whether it lies within the text."""
    hash_BM, real_BM = ids_BL, real_BL
    for n in range(2, min(longest, ids_BL.shape[1]) + 1):
        hash_BM = hash_BM[:, :-1] * _PRIME + ids_BL[:, n - 1 :]
        real_BM = real_BM[:, :-1] & real_BL[:, n - 1 :]
        mixed_BM = (hash_BM ^ (hash_BM >> 29)) * _MIX
        yield (mixed_BM ^ (mixed_BM >> 17)) % _BUCKETS, real_BM


def fast_text(vocabulary: int, pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Vectors of 64 (times `width`) and no layer behind the bag (`depth` - 1 of them)."""
    features = max(1, round(_WIDTH * width))
    return FastText(vocabulary, pad_id, features, depth - 1), features
