"""A bag of words, of the letters in them, and of word n-grams. Sources: Joulin et al. 2016, arXiv:1607.01759 ("Bag of tricks for
efficient text classification"); the letters: Bojanowski et al. 2016, arXiv:1607.04606; the radical of a Chinese character as a
letter of it: Sun et al. 2014, arXiv:1404.4714.

Deviates: n-grams (an end of the text may be one of their words, as in the authors' code) go into 32,768 buckets in place of two
million, runs of letters likewise; a bag is divided by the root of its size in place of its size, so that a long text does not fade;
vectors start small, so that what a text is said to be does not hang on draws. Layers behind the bag, which `depth` asks for, are
those of Iyyer et al. 2015 (deep averaging networks).
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
_LETTERS, _MOST_RUNS = (3, 4, 5), 48  # lengths of a run; runs of one word, the first of them
_START = 0.02
# Unicode's first 20,902 Chinese characters stand in the order of their 214 radicals, each radical before the characters it heads.
_RADICALS = [unicodedata.normalize("NFKC", chr(code)) for code in range(0x2F00, 0x2FD6)]
_LAST_BY_RADICAL = "\u9fa5"
_PRIME, _MIX = 1_000_003, 0x5BD1E995  # odd multipliers of a hash; overflow wraps around, as it should


class FastText(nn.Module):
    """Token ids (B, L) -> the sum of the vectors of all their n-grams, over the root of how many there are: (B, D). words: every
    token of the vocabulary as it is written, an empty one where it stands for no part of a text."""

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
    """Token ids (B, L) -> the sum of the vectors of the runs of letters in each word, over the root of how many: (B, L, D); zeros
    for a word that is too short to have any. Its rows are those of the runs."""

    runs_VG: Tensor
    scale_V: Tensor

    def __init__(self, words: Sequence[str], width: int) -> None:
        super().__init__(_BUCKETS + 1, width, padding_idx=_BUCKETS)  # the last row stands for no run
        runs = [list(dict.fromkeys(map(_bucket, _runs(word))))[:_MOST_RUNS] for word in words]
        most = max(1, *map(len, runs))
        filled = [found + [_BUCKETS] * (most - len(found)) for found in runs]
        self.register_buffer("runs_VG", torch.tensor(filled).reshape(len(words), most), persistent=False)
        self.register_buffer("scale_V", torch.tensor([max(len(found), 1) ** -0.5 for found in runs]), persistent=False)

    def forward(self, ids_BL: Tensor) -> Tensor:
        if ids_BL.numel() > len(self.scale_V):  # more than there are words: each word once
            return F.embedding(ids_BL, self._summed(self.runs_VG, self.scale_V))
        ids_N = ids_BL.flatten()
        return self._summed(self.runs_VG[ids_N], self.scale_V[ids_N]).view(*ids_BL.shape, -1)

    def _summed(self, runs_NG: Tensor, scale_N: Tensor) -> Tensor:
        return F.embedding_bag(runs_NG, self.weight, mode="sum", padding_idx=self.padding_idx) * scale_N[:, None]


def _runs(word: str) -> Iterator[str]:
    """Every run of 3 to 5 letters of a word with its two ends marked, but the whole of it; the radical of a Chinese character."""
    marked = f"<{word}>"
    for length in _LETTERS if word else ():
        if length < len(marked):
            yield from (marked[start : start + length] for start in range(len(marked) - length + 1))
    yield from (_RADICALS[bisect_right(_RADICALS, letter) - 1] for letter in word if "一" <= letter <= _LAST_BY_RADICAL)


def _bucket(run: str) -> int:
    return zlib.crc32(run.encode()) % _BUCKETS


def ngrams(ids_BL: Tensor, pad_id: int, longest: int, buckets: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The bucket (0 … buckets - 1) of every run of n = 2 … `longest` tokens, from that which ends with the first token to that
    which begins with the last, (B, L + n - 1), and which of them are in the bag: one token of a run may be an end of the text,
    written as padding is."""
    for n in range(2, longest + 1):
        ids_BM = F.pad(ids_BL, (n - 1, n - 1), value=pad_id)
        ids_NBM = ids_BM.unfold(1, n, 1).permute(2, 0, 1)
        hash_BM = ids_NBM[0]
        for next_BM in ids_NBM[1:]:
            hash_BM = hash_BM * _PRIME + next_BM
        mixed_BM = (hash_BM ^ (hash_BM >> 29)) * _MIX
        yield (mixed_BM ^ (mixed_BM >> 17)) % buckets, (ids_NBM == pad_id).sum(0) <= 1


def fast_text(words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Vectors of 64 (times `width`) and no layer behind the bag (`depth` - 1 of them)."""
    features = max(1, round(_WIDTH * width))
    return FastText(words, pad_id, features, depth - 1), features
