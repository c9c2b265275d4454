"""Noise shared by both renderers: rows of a fixed bank, at positions hashed from a key."""

from __future__ import annotations

import functools

import numpy as np

from whet.core.rng import Rng

_BANK = 2**20


def pixel_noise(key: int, height: int, width: int) -> np.ndarray:
    """Uniform pixels, uint8 (height, width, 3)."""
    return from_bank(byte_bank(), key, height, 3 * width).reshape(height, width, 3)


@functools.cache
def normal_bank() -> np.ndarray:
    """A million standard normal numbers, float32, always the same."""
    return Rng(0).batch("normal bank", 0, np.arange(_BANK // 4)).normal((4,)).ravel().astype(np.float32)


@functools.cache
def uniform_bank() -> np.ndarray:
    """A million uniform numbers in (0, 1), float32, always the same."""
    return Rng(0).batch("uniform bank", 0, np.arange(_BANK // 4)).uniform(shape=(4,)).ravel().astype(np.float32)


@functools.cache
def byte_bank() -> np.ndarray:
    """A million uniform integers of 0 … 255, uint8, always the same."""
    return (uniform_bank() * np.float32(256)).clip(0, 255).astype(np.uint8)


def bank_rows(key: int, rows: int, length: int) -> np.ndarray:
    """The start of each row of an image in a bank, int64 (rows,), for rows of this length. Drawing new numbers would cost more than
    the rest of rendering; two rows of an image share a position only by chance."""
    return _hashed(np.arange(rows, dtype=np.uint32) + np.uint32(key)).astype(np.int64) % (_BANK - length)


def from_bank(bank: np.ndarray, key: int, rows: int, length: int) -> np.ndarray:
    """Numbers of the bank, (rows, length)."""
    return np.lib.stride_tricks.sliding_window_view(bank, length)[bank_rows(key, rows, length)]


def place_in_bank(key: int, length: int) -> int:
    """The start of a single row in a bank of this length, 0 … length - 1."""
    return int(_hashed(np.array([key], dtype=np.uint32))[0]) % length


def _hashed(word: np.ndarray) -> np.ndarray:
    """The lowbias32 integer hash of C. Wellons (public domain), uint32 to uint32."""
    word = word ^ (word >> np.uint32(16))
    word = word * np.uint32(0x7FEB352D)
    word ^= word >> np.uint32(15)
    word = word * np.uint32(0x846CA68B)
    word ^= word >> np.uint32(16)
    return word
