"""Parts with the same share of every label, where a sample may have several."""

from __future__ import annotations

import numpy as np


def deal_by_label(true_NK: np.ndarray, unit_N: np.ndarray, key_N: np.ndarray, shares: list[float]) -> np.ndarray:
    """The part (0 … parts - 1) of every sample, int (N,): iterative stratification. The label of which the fewest samples are left
    is dealt out first, each of its units to the part that lacks most of it; what bears no label is dealt out last. The first unit
    of every label goes to part 0, so that there is one to learn from.

    true_NK: which labels each sample bears, bool. unit_N: samples with one number stay together. key_N: chance, a number a sample;
    of equal parts the earlier one is taken. shares: of all samples, one a part, their sum 1.
    Source: Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data", here with units in the place of
    samples.
    """
    _, unit_N = np.unique(unit_N, return_inverse=True)
    unit_N = unit_N.reshape(-1)
    U, K, P = int(unit_N.max()) + 1, true_NK.shape[1], len(shares)
    bears_UK = np.zeros((U, K), dtype=np.int64)
    np.add.at(bears_UK, unit_N, true_NK.astype(np.int64))
    size_U = np.bincount(unit_N, minlength=U)
    key_U = np.full(U, key_N.max())
    np.minimum.at(key_U, unit_N, key_N)
    order_U = np.argsort(key_U, kind="stable")

    lacks_PK = np.array(shares)[:, None] * bears_UK.sum(axis=0)
    lacks_P = np.array(shares) * size_U.sum()
    part_U, left_K = np.full(U, -1), bears_UK.sum(axis=0)
    taught_K = np.zeros(K, dtype=bool)

    def put(unit: int, part: int) -> None:
        nonlocal left_K
        part_U[unit] = part
        lacks_PK[part] -= bears_UK[unit]
        lacks_P[part] -= size_U[unit]
        left_K = left_K - bears_UK[unit]
        if part == 0:
            taught_K[bears_UK[unit] > 0] = True

    while left_K.any():
        k = int(np.where(left_K > 0, left_K, np.iinfo(np.int64).max).argmin())
        for unit in order_U[(part_U[order_U] < 0) & (bears_UK[order_U, k] > 0)]:
            # By what is lacking of this label, then of samples; then the earlier part.
            wanted = max(range(P), key=lambda part: (lacks_PK[part, k], lacks_P[part], -part))
            put(int(unit), wanted if taught_K[k] else 0)
    for unit in order_U[part_U[order_U] < 0]:
        put(int(unit), int(lacks_P.argmax()))
    return part_U[unit_N]
