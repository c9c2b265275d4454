"""The only source of randomness in whet.

A draw is a pure function of (seed, purpose, epoch, sample index, k). There is no state between draws, so the result does not
depend on the number of threads, the batch size, the loading order or the point of resumption. Adding a method does not change
the draws of the others (runs of a study are paired).

Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32-10).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_MULTIPLY = np.array([[0xD2511F53], [0xCD9E8D57]], dtype=np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_ROUND_KEYS = np.arange(10, dtype=np.uint64)[:, None, None] * np.array([[0x9E3779B9], [0xBB67AE85]], dtype=np.uint64)
_SHIFT = np.uint64(32)
_HIGH = 1 if sys.byteorder == "little" else 0  # which half of a 64-bit word in memory
_EVERY_EPOCH = 0xFFFFFFFF
_PER_COPY = np.uint64(1 << 48)


def philox4x32(counter_N4: np.ndarray, key_2N: np.ndarray | tuple[int, int]) -> np.ndarray:
    """Ten rounds of Philox over N counters. (N, 4) uint32 and a 64-bit key as two words, one for all or (2, N) -> (N, 4) uint32."""
    even_2N, odd_2N = counter_N4[:, 0::2].T.copy(), counter_N4[:, 1::2].T
    keys = _one_key(*key_2N) if isinstance(key_2N, tuple) else _round_keys(key_2N)
    products = np.empty((2, 2, counter_N4.shape[0]), dtype=np.uint64)  # of this round and of the one before
    halves = products.view(np.uint32).reshape(2, 2, -1, 2)[:, ::-1]
    high, low = halves[..., _HIGH], halves[..., 1 - _HIGH]
    for round_ in range(10):
        turn = round_ % 2
        np.multiply(even_2N, _MULTIPLY, out=products[turn])
        np.bitwise_xor(high[turn], odd_2N, out=even_2N)
        even_2N ^= keys[round_]
        odd_2N = low[turn]
    out = np.empty((counter_N4.shape[0], 4), dtype=np.uint32)
    out[:, 0::2], out[:, 1::2] = even_2N.T, odd_2N.T
    return out


def _round_keys(key_2N: np.ndarray) -> np.ndarray:
    """The keys of the ten rounds, uint32 (10, 2, N)."""
    return ((np.asarray(key_2N, dtype=np.uint64).reshape(2, -1) + _ROUND_KEYS) & _LOW).astype(np.uint32)


@functools.lru_cache(maxsize=1 << 10)
def _one_key(low: int, high: int) -> np.ndarray:
    keys = _round_keys(np.array([low, high]))
    keys.flags.writeable = False  # all share it
    return keys


@functools.lru_cache(maxsize=1 << 10)
def _key(seed: int, purpose: str) -> tuple[int, int]:
    digest = hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


class BatchRng:
    """Draws for the samples of one batch. Every call returns one independent draw per sample: shape (B, *shape).

    `B` is the number of sample indices. A sample gets the same numbers in any batch. Where a method requests several copies of
    each sample in a batch, `copy_B` numbers them (0: the first), and they share their draws.
    """

    def __init__(
        self, key: tuple[int, int], epoch: int, indices: Sequence[int] | np.ndarray, copies: np.ndarray | None = None
    ) -> None:
        self._key = key
        self._epoch = epoch
        self._index_B = np.asarray(indices, dtype=np.uint64)
        self.copy_B = np.zeros(len(self._index_B), dtype=np.int64) if copies is None else copies
        self._used = 0  # number of uniforms drawn per sample so far: the k of the draw
        self._blocks_BM = np.empty((len(self._index_B), 0), dtype=np.uint32)

    def __len__(self) -> int:
        return len(self._index_B)

    @property
    def epoch(self) -> int:
        return self._epoch

    def lasting(self) -> BatchRng:
        """Draws of the same samples that are identical in every epoch."""
        return BatchRng(self._key, _EVERY_EPOCH, self._index_B)

    def by_copy(self) -> BatchRng:
        """Draws that differ between the copies of a sample; all other draws are shared by them."""
        return BatchRng(self._key, self._epoch, self._index_B + self.copy_B.astype(np.uint64) * _PER_COPY)

    def _words(self, count: int) -> np.ndarray:
        """The next `count` 32-bit words of each sample, (B, count); four words come from one Philox call."""
        B = len(self._index_B)
        have, need = self._blocks_BM.shape[1], self._used + count
        if need > have and B:
            counter = _counters(self._index_B, self._epoch, have // 4, -(-need // 4))
            fresh = philox4x32(counter.reshape(-1, 4), self._key).reshape(B, -1)
            self._blocks_BM = np.concatenate([self._blocks_BM, fresh], axis=1)
        words = self._blocks_BM[:, self._used : need] if B else np.empty((0, count), dtype=np.uint32)
        self._used = need
        return words

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Uniform on the open interval (low, high), float64 (B, *shape), 32 bits of resolution."""
        unit = (self._words(math.prod(shape)) + 0.5) * 2.0**-32
        if (low, high) != (0.0, 1.0):
            unit = low + (high - low) * unit
        return unit.reshape(len(self), *shape)

    def bernoulli(self, probability: float) -> np.ndarray:
        """True with the given probability, bool (B,). 0 is never true and 1 always."""
        return self.uniform() < probability

    def integers(self, high: int) -> np.ndarray:
        """Integers 0 … high - 1, int64 (B,)."""
        return (self.uniform() * high).astype(np.int64)

    def sign(self) -> np.ndarray:
        """-1.0 or +1.0 with equal probability, float64 (B,)."""
        return np.where(self.uniform() < 0.5, -1.0, 1.0)

    def normal(self, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Standard normal by inversion, float64 (B, *shape)."""
        from scipy.special import ndtri

        return ndtri(self.uniform(shape=shape))

    def beta(self, a: float, b: float) -> np.ndarray:
        """Beta(a, b) by inversion, float64 (B,)."""
        from scipy.special import betaincinv

        return betaincinv(a, b, self.uniform())

    def dirichlet(self, alpha: float, parts: int) -> np.ndarray:
        """Dirichlet(alpha, …, alpha), float64 (B, parts); rows sum to one."""
        from scipy.special import gammaincinv

        gamma = gammaincinv(alpha, self.uniform(shape=(parts,))) + np.finfo(float).tiny
        return gamma / gamma.sum(axis=1, keepdims=True)

    def permutation(self) -> np.ndarray:
        """A random order of the batch, int64 (B,), for pairing samples in mixing."""
        return np.argsort(self.uniform(), kind="stable")


def _counters(index_B: np.ndarray, epoch: int, first: int, last: int) -> np.ndarray:
    """Philox counters of the blocks first … last - 1 of every sample, uint32 (B, last - first, 4)."""
    counter = np.empty((len(index_B), last - first, 4), dtype=np.uint32)
    counter[..., 0] = (index_B & _LOW)[:, None]
    counter[..., 1] = epoch
    counter[..., 2] = np.arange(first, last)[None, :]
    counter[..., 3] = (index_B >> _SHIFT)[:, None]
    return counter


class Rng:
    """All random numbers of one run, from one seed. `purpose` is a method's name or a part of the engine ("order", "init")."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def batch(
        self, purpose: str, epoch: int, indices: Sequence[int] | np.ndarray, copies: np.ndarray | None = None
    ) -> BatchRng:
        return BatchRng(_key(self.seed, purpose), epoch, indices, copies)

    def batches(
        self, purposes: Sequence[str], epoch: int, indices: np.ndarray, copies: np.ndarray | None = None
    ) -> list[BatchRng]:
        """`batch` for several purposes at once. The draws are the same; the first four per sample are computed together, because
        Philox costs little more for many numbers than for few."""
        found = [self.batch(purpose, epoch, indices, copies) for purpose in purposes]
        if found and len(indices):
            counter_B4 = _counters(found[0]._index_B, epoch, 0, 1)[:, 0]
            key_2N = np.repeat(np.array([rng._key for rng in found], dtype=np.uint64).T, len(indices), axis=1)
            blocks = philox4x32(np.tile(counter_B4, (len(found), 1)), key_2N).reshape(len(found), -1, 4)
            for rng, block_B4 in zip(found, blocks):
                rng._blocks_BM = block_B4
        return found

    def integer(self, purpose: str, step: int = 0) -> int:
        """A 63-bit integer: a seed for another generator."""
        k0, k1 = _key(self.seed, f"{purpose}\0{step}")
        return (k0 | k1 << 32) & 0x7FFFFFFFFFFFFFFF

    def shuffled(self, purpose: str, epoch: int, count: int) -> np.ndarray:
        """The integers 0 … count - 1 in random order."""
        return self.batch(purpose, epoch, np.arange(count)).permutation()

    def keyed(self, purpose: str, names: Sequence[str]) -> np.ndarray:
        """One uniform number per name, float64 (N,); the same name always gets the same number."""
        words = [hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest() for name in names]
        indices = np.frombuffer(b"".join(words), dtype="<u8") if words else np.empty(0, dtype=np.uint64)
        return self.batch(purpose, 0, indices).uniform()

    @contextlib.contextmanager
    def torch_scope(self, purpose: str, step: int = 0, device: torch.device | None = None) -> Iterator[None]:
        """Within the block, torch's own draws (dropout, weight initialisation) are seeded by (seed, purpose, step). Torch's global
        state is restored afterwards."""
        with seeded_torch(self.integer(purpose, step), device):
            yield


@contextlib.contextmanager
def seeded_torch(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within the block, torch's global generator, and that of a CUDA device, are seeded. Their states are restored
    afterwards."""
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for every other kind of device too: 0.4 ms
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield
