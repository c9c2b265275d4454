"""Samples with a probably wrong label, from the out-of-fold predictions of a first model.

Source: Northcutt et al. 2021, arXiv:1911.00068 (confident joint, prune by noise rate).
"""

from __future__ import annotations

import numpy as np

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding
from whet.data.audit.survey import Survey

GOOD_ENOUGH = 0.8  # minimum accuracy of the first model: below it, most suspects are its own errors
CONFIDENT = 0.7  # minimum probability of the other class
MAX_FRACTION = 0.2  # maximum share of a class


def check_labels(survey: Survey, row_R: np.ndarray, probs_RK: np.ndarray, how: str) -> list[Finding]:
    """Suspected labels, the most likely errors first. row_R: the predicted rows. probs_RK: their class probabilities, out of fold.
    how: a description of the first model.

    A label is suspected if `noisy` selects it and the first model gives at least 70 % to another class. A first model with an
    accuracy below 80 % is too weak: then no labels are listed, and the finding reports this."""
    label_R = survey.label_N[row_R]
    accuracy = float((probs_RK.argmax(axis=1) == label_R).mean())
    if accuracy < GOOD_ENOUGH:
        text = english(
            "no search for wrong labels: the first model ({how!t}) has an accuracy of {accuracy:.0f} %, which is too low; "
            "pretrained weights may be better (--weights)",
            how=how, accuracy=100 * accuracy,
        )  # fmt: skip
        return [Finding(english("suspected labels"), "fact", text)]
    found_R = noisy(probs_RK, label_R, MAX_FRACTION) & (probs_RK.max(axis=1) >= CONFIDENT)
    suspects = np.flatnonzero(found_R)
    if not len(suspects):
        return []
    lean = probs_RK[suspects].max(axis=1) - probs_RK[suspects, label_R[suspects]]
    suspects = suspects[np.argsort(-lean, kind="stable")]
    classes = survey.table.classes
    notes = tuple(
        english(
            "label {label}, predicted {predicted} ({share:.0f} %)",
            label=classes[label_R[r]],
            predicted=classes[probs_RK[r].argmax()],
            share=100 * probs_RK[r].max(),
        )
        for r in suspects
    )
    groups = tuple((survey.id_N[row_R[r]],) for r in suspects)
    text = english_n(
        "{n} label is suspicious: review it; the first model ({how!t}) has an accuracy of {accuracy:.0f} %, and some suspects are "
        "its own errors",
        "{n:,} labels are suspicious, the most likely errors first: review them; the first model ({how!t}) has an accuracy of "
        "{accuracy:.0f} %, and some suspects are its own errors",
        len(suspects), how=how, accuracy=100 * accuracy,
    )  # fmt: skip
    return [Finding(english("suspected labels"), "warning", text, groups, notes)]


def confident_joint(probs_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Estimated number of samples of each label (rows) that belong to each class (columns), (K, K); rows sum to the label's
    samples.

    A sample is counted for a class if its probability is at least the mean probability of that class over the samples with that
    label; if several classes qualify, for the most likely."""
    K = probs_NK.shape[1]
    count_K = np.bincount(label_N, minlength=K)
    own_K = np.bincount(label_N, weights=probs_NK[np.arange(len(label_N)), label_N], minlength=K)
    threshold_K = np.divide(own_K, count_K, out=np.full(K, np.inf), where=count_K > 0)
    reached_NK = np.where(probs_NK >= threshold_K, probs_NK, -1.0)
    counted_N = reached_NK.max(axis=1) >= 0
    cell_N = label_N[counted_N] * K + reached_NK[counted_N].argmax(axis=1)
    joint_KK = np.bincount(cell_N, minlength=K * K).reshape(K, K).astype(float)
    # A label without counted samples is assigned to its own class.
    joint_KK[np.arange(K), np.arange(K)] += joint_KK.sum(axis=1) == 0
    return joint_KK / joint_KK.sum(axis=1, keepdims=True) * count_K[:, None]


def noisy(probs_NK: np.ndarray, label_N: np.ndarray, max_fraction: float) -> np.ndarray:
    """Samples whose label is probably wrong, bool (N,): for each pair of label and other class, the number given by the joint,
    those with the largest margin for the other class. Never samples whose label is the most likely class, and at most
    `max_fraction` of a label."""
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
