"""Scores of unlabelled samples. The samples with the highest ones are worth a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse


def closeness(probs_NK: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """One minus the margin of a prediction, 0 (certain) … 1. The margin of exclusive classes is the probability of the first class
    minus that of the second (Scheffer et al. 2001); of several labels it is |2 p - 1| of the least certain one."""
    if not exclusive:
        return 1 - np.abs(2 * probs_NK - 1).min(axis=1)
    if probs_NK.shape[1] < 2:
        return np.zeros(len(probs_NK))
    two_N2 = np.partition(probs_NK, -2, axis=1)[:, -2:]
    return 1 - (two_N2[:, 1] - two_N2[:, 0])


def disagreement(probs_MNK: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """How far M models disagree: the entropy of their mean prediction minus the mean of their entropies, in nats, at least 0
    (Houlsby et al. 2011; the Jensen-Shannon divergence). For several labels the sum over labels."""
    return np.maximum(_entropy(probs_MNK.mean(axis=0), exclusive) - _entropy(probs_MNK, exclusive).mean(axis=0), 0)


def _entropy(probs_K: np.ndarray, exclusive: bool) -> np.ndarray:
    found = _terms(probs_K).sum(axis=-1)
    return found if exclusive else found + _terms(1 - probs_K).sum(axis=-1)


def _terms(probs: np.ndarray) -> np.ndarray:
    return -probs * np.log(np.where(probs > 0, probs, 1))


def k_center_greedy(x_ND: Any, labelled_MD: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(the numbers of `count` samples in the order in which they are chosen, the distance of each from what was there before it).
    Each is the sample farthest from its nearest labelled or chosen one (Sener & Savarese 2018, Algorithm 1). Without labelled
    samples the first is the one farthest from the mean. Equal distances: the first sample. Arrays or sparse matrices."""
    square_N = _squares(x_ND)
    if labelled_MD.shape[0]:
        away_N = np.full(x_ND.shape[0], np.inf)
        for start in range(0, labelled_MD.shape[0], _BLOCK):
            block_BD = labelled_MD[start : start + _BLOCK]
            product_NB = _dense(x_ND @ block_BD.T)
            square_NB = square_N[:, None] + _squares(block_BD)[None, :] - 2 * product_NB
            away_N = np.minimum(away_N, square_NB.min(axis=1))
    else:
        mean_D = np.asarray(x_ND.mean(axis=0)).reshape(-1)
        away_N = square_N - 2 * np.asarray(x_ND @ mean_D).reshape(-1) + float(mean_D @ mean_D)
    order, distance = [], []
    for _ in range(min(count, x_ND.shape[0])):
        row = int(away_N.argmax())
        order.append(row)
        distance.append(float(np.sqrt(max(away_N[row], 0.0))))
        square_to_row_N = square_N + square_N[row] - 2 * _dense(x_ND @ x_ND[[row]].T)[:, 0]
        only_mean = len(order) == 1 and not labelled_MD.shape[0]
        away_N = square_to_row_N if only_mean else np.minimum(away_N, square_to_row_N)
        away_N[order] = -np.inf
    return np.array(order, dtype=np.int64), np.array(distance)


_BLOCK = 512


def _squares(x_ND: Any) -> np.ndarray:
    products = x_ND.multiply(x_ND) if scipy.sparse.issparse(x_ND) else x_ND * x_ND
    return np.asarray(products.sum(axis=1)).reshape(-1)


def _dense(product: Any) -> np.ndarray:
    return product.toarray() if scipy.sparse.issparse(product) else product
