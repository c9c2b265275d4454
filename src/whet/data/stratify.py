"""Stratified splits: by class where each unit has one class, by label where units have several."""

from __future__ import annotations

import numpy as np

_EPSILON = 1e-9  # in samples; shares are not exact in binary


def deal_by_label(true_NK: np.ndarray, unit_N: np.ndarray, key_N: np.ndarray, shares: list[float]) -> np.ndarray:
    """The split number (0 … number of splits - 1) of every sample, int (N,), by iterative stratification. The label with the fewest
    remaining samples is assigned first, each of its units to the split that lacks most of it; samples without labels are assigned
    last. The first unit of every label goes to split 0, so that it has a training sample.

    true_NK: the labels of each sample, bool. unit_N: samples with the same number stay together. key_N: a random number per sample;
    of equal splits the earlier is used. shares: the share of each split, with sum 1.
    Source: Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data", here with units instead of samples.
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
            # The split that lacks most of this label, then most samples; then the earlier split.
            wanted = max(range(P), key=lambda part: (lacks_PK[part, k], lacks_P[part], -part))
            put(int(unit), wanted if taught_K[k] else 0)
    for unit in order_U[part_U[order_U] < 0]:
        put(int(unit), int(lacks_P.argmax()))
    return part_U[unit_N]


def deal_by_class(label_U: np.ndarray, size_U: np.ndarray, shares: list[float]) -> np.ndarray:
    """The split number (0 … number of splits - 1) of every unit, int (U,). Each unit has one class; units are assigned in the given
    order.

    For each class, every split after the first gets whole units up to its share of the class, and one more where that brings it
    closer to its share of all classes so far; a split without the class gets one where that is closer to its share of the class. A
    class of at least two units gives at least one to such a split, to that with the largest deficit, and keeps one for split 0.

    label_U: class numbers. size_U: number of samples of each unit. shares: the share of each split, with sum 1.
    """
    part_U = np.zeros(len(label_U), dtype=np.int64)
    lacks_P = np.zeros(len(shares))  # over all classes so far, in samples
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
