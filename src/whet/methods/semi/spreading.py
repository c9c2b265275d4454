"""Label spreading on a graph of nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import cg

_TOLERANCE, _STEPS = 1e-6, 500


def neighbour_graph(features_ND: Any, neighbours: int, power: float) -> scipy.sparse.csr_matrix:
    """Symmetric weights (N, N): between each sample and its nearest neighbours, the cosine similarity to this power, where it is
    positive. features_ND: an array or a sparse matrix."""
    from sklearn.neighbors import NearestNeighbors

    N = features_ND.shape[0]
    count = min(neighbours, N - 1)
    search = NearestNeighbors(n_neighbors=count + 1, metric="cosine", algorithm="brute", n_jobs=1).fit(features_ND)
    distance_NM, index_NM = search.kneighbors(features_ND)
    row_L, column_L = np.repeat(np.arange(N), count + 1), index_NM.ravel()
    weight_L = np.clip(1 - distance_NM.ravel(), 0, None) ** power
    weight_L[row_L == column_L] = 0
    directed = scipy.sparse.csr_matrix((weight_L, (row_L, column_L)), shape=(N, N))
    found = directed + directed.T
    found.eliminate_zeros()
    return found


def spread(weight_NN: Any, label_NK: np.ndarray, alpha: float) -> np.ndarray:
    """The distribution of the classes of each sample, (N, K): the rows of (1 - alpha) (I - alpha S)^-1 Y, divided by their sums,
    with S = D^-1/2 W D^-1/2. label_NK: one-hot, zero for samples without a label. Rows that no label reaches are uniform.

    Source: Zhou et al. 2004, "Learning with local and global consistency", equation 4."""
    K = label_NK.shape[1]
    degree_N = np.asarray(weight_NN.sum(axis=1)).ravel()
    scale = scipy.sparse.diags(1 / np.sqrt(np.where(degree_N > 0, degree_N, 1)))
    smooth = scipy.sparse.csr_matrix(scale @ weight_NN @ scale)
    system = scipy.sparse.identity(len(label_NK)) - alpha * smooth
    found_NK = np.stack(
        [cg(system, (1 - alpha) * label_NK[:, k], rtol=_TOLERANCE, maxiter=_STEPS)[0] for k in range(K)], axis=1
    )
    found_NK = np.clip(found_NK, 0, None)
    total_N1 = found_NK.sum(axis=1, keepdims=True)
    return np.where(total_N1 > 1e-12, found_NK / np.maximum(total_N1, 1e-12), 1 / K)


def certainty(probs_NK: np.ndarray) -> np.ndarray:
    """1 for a certain class, 0 for a uniform distribution: 1 - entropy / log K, (N,)."""
    entropy_N = -(probs_NK * np.log(np.clip(probs_NK, 1e-12, None))).sum(axis=1)
    return np.clip(1 - entropy_N / np.log(probs_NK.shape[1]), 0, 1)
