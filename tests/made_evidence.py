"""Evidence for tests, from probabilities or from decisions alone."""

import numpy as np

from whet.core.evidence import Predictions
from whet.tasks import SINGLE_LABEL


def evidence(probs_NK, labels, classes=None, task=SINGLE_LABEL):
    probs_NK = np.asarray(probs_NK, dtype=float)
    names = tuple("abcdefghij"[: probs_NK.shape[1]]) if classes is None else classes
    return Predictions(task, names, np.array([f"{n:06d}" for n in range(len(probs_NK))]), np.asarray(labels), probs_NK)


def decided(predicted_N, label_N, num_classes):
    """As if each prediction were certain."""
    return evidence(np.eye(num_classes)[np.asarray(predicted_N)], label_N)
