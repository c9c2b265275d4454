"""The space that samples are compared in: rows of length 1, and their first principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

COMPONENTS = 64
_NO_VARIANCE = 1e-12


def reduced(features_RD: Any, seed: int, components: int = COMPONENTS) -> np.ndarray:
    """The principal components of the features after each row was divided by its length, float64 (R, at most `components`). A row
    of zeros stays as it is. Features without variance give one column of zeros. features_RD: an array or a sparse matrix."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    rows_RD = normalize(features_RD.astype(np.float64))
    count = min(components, *rows_RD.shape)
    if scipy.sparse.issparse(rows_RD):
        if count == components and min(rows_RD.shape) > 2 * components:
            return PCA(components, svd_solver="arpack", random_state=seed).fit_transform(rows_RD)
        rows_RD = rows_RD.toarray()
    if rows_RD.var(axis=0).sum() < _NO_VARIANCE:
        return np.zeros((len(rows_RD), 1))
    return PCA(count, random_state=seed).fit_transform(rows_RD)
