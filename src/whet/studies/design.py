"""Design matrices of studies: one row per run, one column per factor; -1 is the low level (off), +1 the high level (on)."""

from __future__ import annotations

import itertools

import numpy as np

from whet.core.language import english

DESIGNS: tuple[str, ...] = (english("screen"), english("ablate"), english("add"), english("factorial"))
ONE_AT_A_TIME = {"ablate": 1, "add": -1}  # the level of all other factors
_MOST_FULL = 6  # factors: 64 runs per seed


def design_matrix(design: str, factors: int) -> np.ndarray:
    """Return an int matrix (R, F) of -1 and +1. Raises ValueError if the design does not support this number of factors."""
    if factors < 1:
        raise ValueError("a study needs at least one factor")
    if design == "screen":
        return screen(factors)
    if design == "factorial":
        if factors > _MOST_FULL:
            raise ValueError(
                f"a full factorial of {factors} factors takes {2**factors} runs; use a screen, or at most {_MOST_FULL} factors"
            )
        return np.array(list(itertools.product((-1, 1), repeat=factors)))
    base = ONE_AT_A_TIME[design]
    return np.vstack([np.full((1, factors), base), base - 2 * base * np.eye(factors, dtype=int)])


def screen(factors: int) -> np.ndarray:
    """A Hadamard matrix and its foldover. Every factor is high in half of the runs, every pair of factors has each pair of levels
    equally often, and no main effect is aliased with a two-factor interaction (resolution IV). 2 n runs for n factors, where n is a
    Hadamard order.

    Source: Plackett & Burman 1946; Box & Wilson 1951 (foldover).
    """
    if factors <= 2:
        return np.array(list(itertools.product((-1, 1), repeat=factors)))
    order = next(n for n in itertools.count(factors) if hadamard(n) is not None)
    matrix = hadamard(order)
    assert matrix is not None
    return np.vstack([matrix[:, :factors], -matrix[:, :factors]])


def hadamard(order: int) -> np.ndarray | None:
    """A matrix (n, n) of -1 and +1 with orthogonal columns, by Sylvester's doubling and Paley's construction; None if these give no
    matrix of this order."""
    if order in (1, 2):
        return np.array([[1, 1], [1, -1]])[:order, :order]
    if order % 4:
        return None
    if (paley := _paley(order - 1)) is not None:
        return paley
    half = hadamard(order // 2)
    return None if half is None else np.block([[half, half], [half, -half]])


def _paley(q: int) -> np.ndarray | None:
    """A matrix of order q + 1 for a prime q = 3 modulo 4. Source: Paley 1933."""
    if q % 4 != 3 or any(q % d == 0 for d in range(3, int(q**0.5) + 1, 2)):
        return None
    squares = {x * x % q for x in range(1, q)}
    residue = np.array([0] + [1 if x in squares else -1 for x in range(1, q)])
    matrix = np.ones((q + 1, q + 1), dtype=int)
    matrix[1:, 1:] = residue[(np.arange(q)[None, :] - np.arange(q)[:, None]) % q] + np.eye(q, dtype=int)
    matrix[1:, 0] = -1
    return matrix
