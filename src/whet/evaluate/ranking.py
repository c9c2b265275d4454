"""Rankings by probability, without a threshold: precision-recall and ROC curves, and the areas below them.

One sort gives both curves and their areas. Tests compare them with scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whet.evaluate.rates import Z_95, wilson_interval


@dataclass(frozen=True)
class Ranking:
    """What is found by each threshold, from the highest score down. right_T, wrong_T: members and others with at least this score;
    samples with equal scores share a threshold. members, others: their numbers, both positive."""

    right_T: np.ndarray
    wrong_T: np.ndarray
    members: int
    others: int

    @property
    def recall_T(self) -> np.ndarray:
        """Also the true positive rate."""
        return self.right_T / self.members

    @property
    def precision_T(self) -> np.ndarray:
        return self.right_T / (self.right_T + self.wrong_T)

    @property
    def average_precision(self) -> float:
        """The area under the steps of the precision-recall curve."""
        return float((np.diff(self.recall_T, prepend=0.0) * self.precision_T).sum())

    @property
    def area(self) -> float:
        """The area under the ROC curve: the probability that a member has a higher score than another sample, ties half."""
        above_T = np.diff(self.right_T, prepend=0) * (self.others - self.wrong_T + np.diff(self.wrong_T, prepend=0) / 2)
        return float(above_T.sum() / (self.members * self.others))

    def precision_at(self, recall_R: np.ndarray) -> np.ndarray:
        """The precision at the highest threshold that reaches each recall (R,)."""
        return self.precision_T[np.searchsorted(self.recall_T, recall_R - 1e-12).clip(max=len(self.right_T) - 1)]

    def recall_at(self, false_positive_R: np.ndarray) -> np.ndarray:
        """The true positive rate at each false positive rate (R,), by linear interpolation."""
        rate_T = np.concatenate([[0.0], self.wrong_T / self.others])
        return np.interp(false_positive_R, rate_T, np.concatenate([[0.0], self.recall_T]))


def ranking(score_N: np.ndarray, member_N: np.ndarray) -> Ranking | None:
    """score_N: float (N,). member_N: bool (N,). None where one of the two kinds is missing."""
    members = int(member_N.sum())
    if members in (0, len(member_N)):
        return None
    order = np.argsort(-score_N, kind="stable")
    last_T = np.append(np.flatnonzero(np.diff(score_N[order])), len(order) - 1)
    right_T = np.cumsum(member_N[order])[last_T]
    return Ranking(right_T, last_T + 1 - right_T, members, len(member_N) - members)


def precision_interval(average_precision: float, members: int) -> tuple[float, float]:
    """The 95 % interval of an average precision, as that of a proportion of the members.
    Source: Boyd, Eng, Page 2013, "Area under the precision-recall curve: point estimates and confidence intervals"."""
    return wilson_interval(average_precision * members, members)


def area_interval(area: float, members: int, others: int) -> tuple[float, float]:
    """The 95 % interval of an area under the ROC curve: the areas that are compatible with the measured one, by the variance of
    Hanley & McNeil 1982 with equal group sizes. Source: Newcombe 2006, method 5."""
    middle = (members + others) / 2 - 1

    def gap(theta: float) -> float:
        spread = theta * (1 - theta) * (1 + middle * (1 - theta) / (2 - theta) + middle * theta / (1 + theta))
        return abs(area - theta) - Z_95 * float(np.sqrt(spread / (members * others)))

    return _root(gap, area, 0.0), _root(gap, area, 1.0)


def _root(gap: Callable[[float], float], inside: float, outside: float) -> float:
    """By bisection: where the gap turns positive on the way out."""
    for _ in range(40):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if gap(middle) < 0 else (inside, middle)
    return (inside + outside) / 2
