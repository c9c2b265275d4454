"""Samples that are probably filed under the wrong class, from the answers of a first model that did not learn from them.

Source: Northcutt et al. 2021, arXiv:1911.00068 (confident joint, prune by noise rate).
"""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, counted
from whet.data.audit.survey import Survey

GOOD_ENOUGH = 0.8  # accuracy of the first model: below it most suspects are its own mistakes
CONFIDENT = 0.7  # the least probability of the other class
MAX_FRACTION = 0.2  # of a class


def check_labels(survey: Survey, row_R: np.ndarray, probs_RK: np.ndarray, how: str) -> list[Finding]:
    """Suspected labels, the likeliest errors first. row_R: the rows that were answered. probs_RK: their class probabilities, out of
    fold. how: what the first model is, in words.

    Suspected is what `noisy` finds and what the first model gives at least 70 % to another class. A first model that is right in
    less than 80 % of all is too weak to judge by: then nothing is listed, and the finding says so."""
    label_R = survey.label_N[row_R]
    accuracy = float((probs_RK.argmax(axis=1) == label_R).mean())
    judge = f"the first model ({how}) is right in {100 * accuracy:.0f} %"
    if accuracy < GOOD_ENOUGH:
        text = (
            f"not searched for wrong labels: {judge}, too weak to judge them by; pretrained weights may do (--weights)"
        )
        return [Finding("suspected labels", "fact", text)]
    found_R = noisy(probs_RK, label_R, MAX_FRACTION) & (probs_RK.max(axis=1) >= CONFIDENT)
    suspects = np.flatnonzero(found_R)
    if not len(suspects):
        return []
    lean = probs_RK[suspects].max(axis=1) - probs_RK[suspects, label_R[suspects]]
    suspects = suspects[np.argsort(-lean, kind="stable")]
    classes = survey.table.classes
    notes = tuple(
        f"filed under {classes[label_R[r]]}, looks like {classes[probs_RK[r].argmax()]} ({100 * probs_RK[r].max():.0f} %)"
        for r in suspects
    )
    groups = tuple((survey.id_N[row_R[r]],) for r in suspects)
    how_many = f"{counted(len(suspects), 'label')} doubtful, the likeliest errors first"
    text = f"{how_many}: look at them; {judge}, and some suspects are its own mistakes"
    return [Finding("suspected labels", "warning", text, groups, notes)]


def confident_joint(probs_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """How many samples of each label (rows) truly belong to each class (columns), (K, K); rows sum to the label's samples.

    A sample is counted for a class if its probability reaches the mean of those that bear the label, for the likeliest such."""
    K = probs_NK.shape[1]
    count_K = np.bincount(label_N, minlength=K)
    own_K = np.bincount(label_N, weights=probs_NK[np.arange(len(label_N)), label_N], minlength=K)
    threshold_K = np.divide(own_K, count_K, out=np.full(K, np.inf), where=count_K > 0)
    reached_NK = np.where(probs_NK >= threshold_K, probs_NK, -1.0)
    counted_N = reached_NK.max(axis=1) >= 0
    cell_N = label_N[counted_N] * K + reached_NK[counted_N].argmax(axis=1)
    joint_KK = np.bincount(cell_N, minlength=K * K).reshape(K, K).astype(float)
    # A label of which nothing is counted stays itself.
    joint_KK[np.arange(K), np.arange(K)] += joint_KK.sum(axis=1) == 0
    return joint_KK / joint_KK.sum(axis=1, keepdims=True) * count_K[:, None]


def noisy(probs_NK: np.ndarray, label_N: np.ndarray, max_fraction: float) -> np.ndarray:
    """Samples whose label is probably wrong, bool (N,): from each pair of label and other class as many as the joint says, those
    that lean most to the other class. Never one whose label is the likeliest class, and of no label more than `max_fraction`."""
    joint_KK = confident_joint(probs_NK, label_N)
    found_N = np.zeros(len(label_N), dtype=bool)
    for i in range(len(joint_KK)):
        members = np.flatnonzero(label_N == i)
        lean_MK = probs_NK[members] - probs_NK[members, i][:, None]
        doubtful = np.zeros(len(members), dtype=bool)
        for j in range(len(joint_KK)):
            if j != i:
                leaning = np.argsort(-lean_MK[:, j], kind="stable")[: round(joint_KK[i, j])]
                doubtful[leaning] = True
        doubtful &= lean_MK.argmax(axis=1) != i
        most = np.argsort(-np.where(doubtful, lean_MK.max(axis=1, initial=0), -1), kind="stable")
        most = most[: min(int(max_fraction * len(members)), doubtful.sum())]
        found_N[members[most]] = True
    return found_N
