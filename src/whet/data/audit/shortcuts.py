"""Shortcut probes: the accuracy of models that do not use the content of a sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from whet.core.language import english
from whet.core.media import plural
from whet.data.audit.finding import Finding
from whet.data.audit.media import MEDIA
from whet.data.audit.survey import Survey
from whet.data.split import deal_complete_folds

FOLDS, NEIGHBOURS = 5, 10
LEAST_CLASS = 10  # minimum samples of a class
WORTH = 0.1  # minimum distance of a probe's interval from the majority share for a warning


@dataclass(frozen=True)
class Probe:
    """accuracy: out of fold; low, high: its 95 % interval. base: the share of the largest class, `always`. whole: the accuracy of a
    first model on whole samples. explains: the share of that model's gain over the base that this probe achieves; None without
    such a model. meaning: the consequence where the probe is predictive. medium: of the samples."""

    name: str
    what: str
    accuracy: float
    low: float
    high: float
    base: float
    always: str
    samples: int
    whole: float | None = None
    explains: float | None = None
    meaning: str = ""
    medium: str = "image"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def telling(self) -> bool:
        return self.low - self.base > WORTH


def probe_shortcuts(survey: Survey, whole_accuracy: float | None = None) -> list[Probe]:
    """All probes, evaluated out of fold (5 stratified folds, with copies of one sample in one fold) with the ten nearest
    neighbours, or for words with the most frequent class of each. Samples of the test split are left out, and classes with fewer
    than ten samples, or whose samples are all copies of one.
    whole_accuracy: the accuracy of a first model on whole samples, for comparison.

    Source: the idea of Geirhos et al. 2020, arXiv:2004.07780 (shortcut learning)."""
    rows = survey.row_R[survey.split_N[survey.row_R] != "test"]
    counts = np.bincount(survey.label_N[rows], minlength=len(survey.table.classes))
    rows = rows[counts[survey.label_N[rows]] >= LEAST_CLASS]
    usable, fold_R = deal_complete_folds(survey.label_N[rows], survey.unit_N[rows], FOLDS)
    if not len(usable):
        return []
    rows = rows[usable]
    label_R = survey.label_N[rows]
    largest = int(np.bincount(label_R).argmax())
    base = float((label_R == largest).mean())
    found = []
    for clue in MEDIA[survey.table.medium].clues:
        value_R = clue.values(survey, rows)
        if len(np.unique(value_R, axis=0)) < 2:
            continue  # all values are equal
        predicted_R = (_usual if value_R.ndim == 1 else _nearest)(value_R, label_R, fold_R)
        right = int((predicted_R == label_R).sum())
        low, high = binomtest(right, len(rows)).proportion_ci(method="wilson")
        accuracy = right / len(rows)
        explains = None
        if whole_accuracy is not None and whole_accuracy - base > WORTH:
            explains = min(1.0, max(0.0, (accuracy - base) / (whole_accuracy - base)))
        found.append(
            Probe(
                clue.name,
                clue.what,
                accuracy,
                float(low),
                float(high),
                base,
                survey.table.classes[largest],
                len(rows),
                whole_accuracy,
                explains,
                clue.meaning,
                survey.table.medium,
            )
        )
    return found


def check_shortcuts(probes: list[Probe]) -> list[Finding]:
    """A warning for every probe whose whole interval is more than 10 percentage points above the share of the largest class."""
    found = []
    for probe in probes:
        if not probe.telling:
            continue
        values: dict[str, Any] = {
            "what": probe.what, "accuracy": 100 * probe.accuracy, "low": 100 * probe.low, "high": 100 * probe.high,
            "base": 100 * probe.base, "always": probe.always, "meaning": probe.meaning,
        }  # fmt: skip
        if probe.explains is not None and probe.whole is not None:
            text = english(
                "{what!t} give {accuracy:.0f} % ({low:.0f} to {high:.0f}) against {base:.1f} % for always predicting {always}: "
                "{meaning!t}; that is {explains:.0f} % of the gain of a first model on whole {samples!t} ({whole:.0f} %)",
                **values, explains=100 * probe.explains, samples=plural(probe.medium), whole=100 * probe.whole,
            )  # fmt: skip
        else:
            text = english(
                "{what!t} give {accuracy:.0f} % ({low:.0f} to {high:.0f}) against {base:.1f} % for always predicting {always}: "
                "{meaning!t}",
                **values,
            )
        found.append(Finding(english("shortcut"), "warning", text))
    return found


def _nearest(value_RD: np.ndarray, label_R: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    predicted_R = np.empty(len(label_R), dtype=np.int64)
    for fold in range(FOLDS):
        out = fold_R == fold
        if not out.any():
            continue
        model = KNeighborsClassifier(min(NEIGHBOURS, int((~out).sum())), weights="distance")
        predicted_R[out] = model.fit(value_RD[~out], label_R[~out]).predict(value_RD[out])
    return predicted_R


def _usual(value_R: np.ndarray, label_R: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    predicted_R = np.empty(len(label_R), dtype=np.int64)
    for fold in range(FOLDS):
        out = fold_R == fold
        seen: dict[str, Counter[int]] = {}
        for value, label in zip(value_R[~out].tolist(), label_R[~out].tolist()):
            seen.setdefault(value, Counter())[label] += 1
        fallback = int(np.bincount(label_R[~out]).argmax())
        best = {value: min(counts, key=lambda label: (-counts[label], label)) for value, counts in seen.items()}
        predicted_R[out] = [best.get(value, fallback) for value in value_R[out].tolist()]
    return predicted_R
