"""A bag of words, of character n-grams, and of word n-grams. Sources: Joulin et al. 2016, arXiv:1607.01759 ("Bag of tricks for
efficient text classification"); character n-grams: Bojanowski et al. 2016, arXiv:1607.04606; radicals of Chinese characters: Sun et
al. 2014, arXiv:1404.4714.

Deviates: word n-grams (which may include an end of the text, as in the authors' code) are hashed to 32,768 buckets instead of two
million, character n-grams likewise; a bag is divided by the square root of its size instead of its size, so that long texts keep
their scale; vectors start small, so that predictions do not depend on the initialisation. Layers after the bag, added by `depth`,
are those of Iyyer et al. 2015 (deep averaging networks).
"""

from __future__ import annotations

import unicodedata
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.token_vectors import TokenVectors

_WIDTH, _LONGEST, _BUCKETS = 64, 2, 1 << 15
_LETTERS, _MOST_RUNS = (3, 4, 5), 48  # lengths of a character n-gram; maximum number per word, the first ones
_START = 0.02
# Unicode's first 20,902 Chinese characters are sorted by their 214 radicals; each radical precedes its characters.
_RADICALS = [unicodedata.normalize("NFKC", chr(code)) for code in range(0x2F00, 0x2FD6)]
_LAST_BY_RADICAL = "\u9fa5"
_PRIME, _MIX = 1_000_003, 0x5BD1E995  # odd multipliers of a hash; overflow wraps around, as intended


class FastText(nn.Module):
    """Token ids (B, L) -> the sum of the vectors of all their n-grams, divided by the square root of their number: (B, D). words:
    every token of the vocabulary, an empty string for special tokens."""

    def __init__(self, words: Sequence[str], pad_id: int, width: int, layers: int, longest: int = _LONGEST) -> None:
        super().__init__()
        self.pad_id, self.longest = pad_id, longest
        self.tokens = nn.Embedding(len(words), width)
        self.letters = Letters(words, width)
        self.ngrams = nn.Embedding(_BUCKETS, width)
        for table in (self.tokens, self.letters, self.ngrams):
            nn.init.normal_(table.weight, std=_START)
        self.vectors = TokenVectors()
        self.layers = nn.Sequential(*(nn.Sequential(nn.ReLU(), nn.Linear(width, width)) for _ in range(layers)))

    def forward(self, ids_BL: Tensor) -> Tensor:
        real = [ids_BL != self.pad_id]
        x = [self.tokens(ids_BL) + self.letters(ids_BL)]
        for hash_BM, real_BM in ngrams(ids_BL, self.pad_id, self.longest, _BUCKETS):
            x.append(self.ngrams(hash_BM))
            real.append(real_BM)
        x_BMD, real_BM = self.vectors(torch.cat(x, dim=1), torch.cat(real, dim=1))
        total_BD = torch.einsum("bmd,bm->bd", x_BMD, real_BM.to(x_BMD.dtype))
        return self.layers(total_BD / real_BM.sum(1).clamp(min=1).sqrt()[:, None])


class Letters(nn.Embedding):
    """Token ids (B, L) -> the sum of the vectors of the character n-grams of each word, divided by the square root of their number:
    (B, L, D); zeros for words too short to have any. Its rows are those of the n-grams."""

    runs_VG: Tensor
    scale_V: Tensor

    def __init__(self, words: Sequence[str], width: int) -> None:
        super().__init__(_BUCKETS + 1, width, padding_idx=_BUCKETS)  # the last row is padding
        runs = [list(dict.fromkeys(map(_bucket, _runs(word))))[:_MOST_RUNS] for word in words]
        most = max(1, *map(len, runs))
        filled = [found + [_BUCKETS] * (most - len(found)) for found in runs]
        self.register_buffer("runs_VG", torch.tensor(filled).reshape(len(words), most), persistent=False)
        self.register_buffer("scale_V", torch.tensor([max(len(found), 1) ** -0.5 for found in runs]), persistent=False)

    def forward(self, ids_BL: Tensor) -> Tensor:
        if ids_BL.numel() > len(self.scale_V):  # more tokens than words: compute each word once
            return F.embedding(ids_BL, self._summed(self.runs_VG, self.scale_V))
        ids_N = ids_BL.flatten()
        return self._summed(self.runs_VG[ids_N], self.scale_V[ids_N]).view(*ids_BL.shape, -1)

    @torch.no_grad()
    def fixed(self) -> nn.Embedding:
        """The same for fixed weights: one vector per word."""
        return nn.Embedding.from_pretrained(self._summed(self.runs_VG, self.scale_V))

    def _summed(self, runs_NG: Tensor, scale_N: Tensor) -> Tensor:
        return F.embedding_bag(runs_NG, self.weight, mode="sum", padding_idx=self.padding_idx) * scale_N[:, None]


def _runs(word: str) -> Iterator[str]:
    """Every character n-gram of length 3 to 5 of a word with marked ends, except the whole word; and the radical of a Chinese
    character."""
    marked = f"<{word}>"
    for length in _LETTERS if word else ():
        if length < len(marked):
            yield from (marked[start : start + length] for start in range(len(marked) - length + 1))
    yield from (_RADICALS[bisect_right(_RADICALS, letter) - 1] for letter in word if "一" <= letter <= _LAST_BY_RADICAL)


def _bucket(run: str) -> int:
    return zlib.crc32(run.encode()) % _BUCKETS


def ngrams(ids_BL: Tensor, pad_id: int, longest: int, buckets: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The bucket (0 … buckets - 1) of every n-gram of n = 2 … `longest` tokens, from the one that ends with the first token to the
    one that begins with the last, (B, L + n - 1), and which of them are in the bag: one token of an n-gram may be an end of the
    text, represented by padding."""
    for n in range(2, longest + 1):
        ids_BM = F.pad(ids_BL, (n - 1, n - 1), value=pad_id)
        ids_NBM = ids_BM.unfold(1, n, 1).permute(2, 0, 1)
        hash_BM = ids_NBM[0]
        for next_BM in ids_NBM[1:]:
            hash_BM = hash_BM * _PRIME + next_BM
        mixed_BM = (hash_BM ^ (hash_BM >> 29)) * _MIX
        yield (mixed_BM ^ (mixed_BM >> 17)) % buckets, (ids_NBM == pad_id).sum(0) <= 1


def fast_text(words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Vectors of size 64 (times `width`), and `depth` - 1 layers after the bag."""
    features = max(1, round(_WIDTH * width))
    return FastText(words, pad_id, features, depth - 1), features
