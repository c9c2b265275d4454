"""Evidence of runs of which only the decisions were kept."""

from __future__ import annotations

import numpy as np

from whet.core.evidence import Predictions
from whet.tasks import SINGLE_LABEL


def certain(predicted_N: np.ndarray, label_N: np.ndarray) -> Predictions:
    """Evidence of which only the decisions are known."""
    K = int(max(predicted_N.max(), label_N.max())) + 1
    ids = np.arange(len(label_N)).astype(np.str_)
    return Predictions(SINGLE_LABEL, tuple(map(str, range(K))), ids, label_N, np.eye(K)[predicted_N])
