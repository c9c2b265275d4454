"""Parts with the same share of every class: by class where each unit is of one, by label where units are of several."""

from __future__ import annotations

import numpy as np

_EPSILON = 1e-9  # samples; shares are not exact in binary


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


def deal_by_class(label_U: np.ndarray, size_U: np.ndarray, shares: list[float]) -> np.ndarray:
    """The part (0 … parts - 1) of every unit, int (U,). Units are of one class each and are dealt in the order given.

    Of each class every part beyond the first gets whole units up to its share of the class, and one more where that brings the part
    nearer to its share of all classes so far; a part that has none of the class gets one where that is nearer to its share of the
    class. A class of two units or more gives at least one to such a part, to that which lacks most, and keeps one for part 0.

    label_U: class numbers. size_U: samples of each unit. shares: of all samples, one a part, their sum 1.
    """
    part_U = np.zeros(len(label_U), dtype=np.int64)
    lacks_P = np.zeros(len(shares))  # of all classes so far, in samples
    for k in np.unique(label_U):
        units = np.flatnonzero(label_U == k)
        share_P = np.array(shares) * size_U[units].sum()
        got_P, given, free = np.zeros(len(shares)), 0, len(units) - 1
        for part in range(1, len(shares)):
            while given < free and got_P[part] + size_U[units[given]] <= share_P[part] + _EPSILON:
                part_U[units[given]] = part
                got_P[part] += size_U[units[given]]
                given += 1
        for part in sorted(range(1, len(shares)), key=lambda part: -(lacks_P + share_P - got_P)[part]):
            if given == free:
                break
            size = size_U[units[given]]
            lacks = share_P[part] - got_P[part] + (lacks_P[part] if got_P[part] else 0)
            if lacks >= size / 2 - _EPSILON or not got_P.any():
                part_U[units[given]] = part
                got_P[part] += size
                given += 1
        lacks_P += share_P - got_P
    return part_U
