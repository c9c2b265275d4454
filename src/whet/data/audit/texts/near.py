"""Finds pairs of near-duplicate texts: with a changed, removed or added word, or other case, spacing or punctuation.

MinHash proposes pairs that share many shingles; their exact Jaccard index is the criterion. A shingle that many texts contain is
weak evidence, so unless nearly all are shared, the index weighted by the logarithm of their rarity must also be high: two letters
from one template are not duplicates.

Source: Broder 1997 (resemblance, MinHash); Leskovec et al., Mining of Massive Datasets, chapter 3 (banding).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from whet.core.rng import Rng
from whet.data.audit.pairs import Pairs

ALIKE, SURE = 0.7, 0.9  # minimum Jaccard index: plain and weighted; plain alone
LETTERS, WIDE_LETTERS = 4, 2  # letters per shingle: in scripts with spaces; in Chinese and similar scripts
LEAST_WIDTH = 16  # letters, a Chinese one counts for two: in shorter texts a single word is most of the text
BANDS, ROWS = 24, 4  # a pair of Jaccard index 0.7 shares a band in 99.8 % of cases, one of 0.3 in 18 %
NEIGHBOURS = 5  # comparisons per text in one bucket
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 4096  # shingles hashed at a time
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_BESIDE_WIDE = re.compile(f"(?<={_WIDE.pattern}) | (?={_WIDE.pattern})")
_UNWRITTEN = re.compile(r"[^\w]+|_+")


def plain(text: str) -> str:
    """Normalise a text: one width and case of letters, one space between words, none beside Chinese letters and similar ones, no
    punctuation."""
    return _BESIDE_WIDE.sub("", _UNWRITTEN.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip())


def width(text: str) -> int:
    return len(text) + len(_WIDE.findall(text))


def is_short(text: str) -> bool:
    return width(plain(text)) < LEAST_WIDTH


def shingles(text: str) -> np.ndarray:
    """The hashes of a text's shingles, uint64, without duplicates: every run of 4 letters, in Chinese, Japanese and Korean of 2. A
    short text is one shingle, including its punctuation: ":)" and ":(" differ."""
    normal = plain(text)
    if width(normal) < LEAST_WIDTH:
        normal = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        length = len(normal)
    else:
        length = WIDE_LETTERS if 2 * len(_WIDE.findall(normal)) >= len(normal) else LETTERS
    code_L = np.frombuffer(normal.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    hash_S = np.full(max(1, len(code_L) - length + 1), length, dtype=np.uint64)
    for place in range(length):
        hash_S = (hash_S ^ code_L[place : place + len(hash_S)]) * _FACTOR
        hash_S ^= hash_S >> np.uint64(29)
    return np.unique(hash_S)


def signatures(shingles_N: Sequence[np.ndarray]) -> np.ndarray:
    """MinHash signatures, uint64 (N, BANDS * ROWS): the expected share of equal entries of two texts is their Jaccard index."""
    count = BANDS * ROWS
    factor_H, shift_H = Rng(0).batch("minhash", 0, np.arange(count)).uniform(0, 2.0**62, (2,)).astype(np.uint64).T
    factor_H |= np.uint64(1)
    found_NH = np.full((len(shingles_N), count), np.iinfo(np.uint64).max)
    for n, hash_S in enumerate(shingles_N):
        for start in range(0, len(hash_S), _BLOCK):
            mixed_SH = hash_S[start : start + _BLOCK, None] * factor_H + shift_H
            mixed_SH ^= mixed_SH >> np.uint64(32)
            mixed_SH *= _FACTOR
            np.minimum(found_NH[n], mixed_SH.min(axis=0), out=found_NH[n])
    return found_NH


def proposals(signature_NH: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) that share a band of their signatures; in one bucket, each text with the next few."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for band in range(BANDS):
        key_N = np.zeros(len(signature_NH), dtype=np.uint64)
        for column in range(band * ROWS, (band + 1) * ROWS):
            key_N = (key_N ^ signature_NH[:, column]) * _FACTOR
            key_N ^= key_N >> np.uint64(29)
        order_N = np.argsort(key_N, kind="stable")
        for step in range(1, NEIGHBOURS + 1):
            same = key_N[order_N[:-step]] == key_N[order_N[step:]]
            found.append(np.stack([order_N[:-step][same], order_N[step:][same]], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def near_pairs(texts: Sequence[str]) -> Pairs:
    """All near-duplicate pairs. Their likeness is the Jaccard index."""
    if len(texts) < 2:
        return Pairs(np.empty((0, 2), dtype=np.int64), np.empty(0))
    shingles_N = [shingles(text) for text in texts]
    pair_P2 = proposals(signatures(shingles_N))
    _, number, count = np.unique(np.concatenate(shingles_N), return_inverse=True, return_counts=True)
    rarity = np.log((1 + len(texts)) / count)
    ends = np.cumsum([len(hash_S) for hash_S in shingles_N])[:-1]
    number_N = np.split(number.reshape(-1), ends)  # of the shingles in each text, ascending like their hashes
    weight_N = np.array([rarity[number_S].sum() for number_S in number_N])
    likeness_P = np.zeros(len(pair_P2))
    for p, (one, other) in enumerate(pair_P2):
        shared = np.intersect1d(number_N[one], number_N[other], assume_unique=True)
        jaccard = len(shared) / (len(number_N[one]) + len(number_N[other]) - len(shared))
        if jaccard >= ALIKE:
            common = rarity[shared].sum()
            weighted = common / (weight_N[one] + weight_N[other] - common)
            likeness_P[p] = jaccard if jaccard >= SURE or weighted >= ALIKE else 0.0
    good_P = likeness_P > 0
    return Pairs(pair_P2[good_P], likeness_P[good_P])
