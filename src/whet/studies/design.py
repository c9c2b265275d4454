"""Which runs a study makes: a matrix, a row a run and a column a factor, -1 where it is low (off) and +1 where it is high."""

from __future__ import annotations

import itertools

import numpy as np

DESIGNS = ("screen", "ablate", "add", "factorial")
ONE_AT_A_TIME = {"ablate": 1, "add": -1}  # and where every other factor stands
_MOST_FULL = 6  # factors: 64 runs a seed


def design_matrix(design: str, factors: int) -> np.ndarray:
    """int (R, F) of -1 and +1; ValueError where the design cannot hold so many factors."""
    if factors < 1:
        raise ValueError("a study needs at least one factor")
    if design == "screen":
        return screen(factors)
    if design == "factorial":
        if factors > _MOST_FULL:
            raise ValueError(
                f"a full factorial of {factors} factors takes {2**factors} runs; take a screen, or at most {_MOST_FULL} factors"
            )
        return np.array(list(itertools.product((-1, 1), repeat=factors)))
    base = ONE_AT_A_TIME[design]
    return np.vstack([np.full((1, factors), base), base - 2 * base * np.eye(factors, dtype=int)])


def screen(factors: int) -> np.ndarray:
    """A Hadamard matrix and its mirror image: every factor is high in half of the runs, every two are at every pair of levels
    equally often, and no main effect is mixed up with an interaction of two (resolution IV). 2 n runs for n factors, n a Hadamard
    order.

    Source: Plackett & Burman 1946; Box & Wilson 1951 (foldover).
    """
    if factors <= 2:
        return np.array(list(itertools.product((-1, 1), repeat=factors)))
    order = next(n for n in itertools.count(factors) if hadamard(n) is not None)
    matrix = hadamard(order)
    assert matrix is not None
    return np.vstack([matrix[:, :factors], -matrix[:, :factors]])


def hadamard(order: int) -> np.ndarray | None:
    """A matrix (n, n) of -1 and +1 with orthogonal columns, by Sylvester's doubling and Paley's construction; None where these
    give none of that order."""
    if order in (1, 2):
        return np.array([[1, 1], [1, -1]])[:order, :order]
    if order % 4:
        return None
    if (paley := _paley(order - 1)) is not None:
        return paley
    half = hadamard(order // 2)
    return None if half is None else np.block([[half, half], [half, -half]])


def _paley(q: int) -> np.ndarray | None:
    """Order q + 1 for a prime q = 3 modulo 4. Source: Paley 1933."""
    if q % 4 != 3 or any(q % d == 0 for d in range(3, int(q**0.5) + 1, 2)):
        return None
    squares = {x * x % q for x in range(1, q)}
    residue = np.array([0] + [1 if x in squares else -1 for x in range(1, q)])
    matrix = np.ones((q + 1, q + 1), dtype=int)
    matrix[1:, 1:] = residue[(np.arange(q)[None, :] - np.arange(q)[:, None]) % q] + np.eye(q, dtype=int)
    matrix[1:, 0] = -1
    return matrix
