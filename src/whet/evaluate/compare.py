"""Two recipes compared on the same test samples: how large is the difference, and how sure is it?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whet.core.errors import RunError, unknown
from whet.core.run_folder import RunFolder
from whet.evaluate.difference import (
    MARGIN,
    Difference,
    accuracy_interval,
    crossed_interval,
    holm,
    mcnemar,
    paired_binary,
)
from whet.evaluate.metrics import calibration_error, log_loss_N, macro_f1, right_N, worst_recall
from whet.evaluate.said import Said, joined, said_by
from whet.evaluate.several import hamming_accuracy_N, mean_average_precision, micro_f1

GROUPS = 20  # of test samples, left out in turn

Measure = Callable[[np.ndarray, np.ndarray], float]
"""One run's answers, class numbers (N,) or probabilities (N, K), and the true class numbers (N,) -> a number. Where a sample may
have several classes, which are said and which are true, bool (N, K), in the place of numbers."""


def pseudo_values(metric: Measure, answers: np.ndarray, truth: np.ndarray, groups: int = GROUPS) -> np.ndarray:
    """(G,) values whose mean is the metric of one run, for a metric that is no mean over samples.

    The samples are dealt out into groups, class by class, so that all are alike; leaving out one group at a time gives the
    pseudo-values G m - (G - 1) m_without, here moved so that their mean is m itself. Those of a mean are the groups' own means,
    and those of other metrics are treated like them: runs x groups, crossed, as in `difference.crossed_interval`.
    Answers and truth: as the metric takes them. Where a sample may have several classes, those of one label set are one class here.
    Measured on simulated answers (431 samples of five uneven classes; 3, 5, 10 seeds) 95 % intervals of macro-F1 cover 95–98 %,
    those of the worst class, which has kinks, 97–100 %.
    Source: Quenouille 1956; Tukey 1958; groups: Kott 2001, "The delete-a-group jackknife".
    """
    N = len(truth)
    groups = min(groups, N)
    group_N = np.empty(N, dtype=np.int64)
    label_N = truth if truth.ndim == 1 else np.unique(truth, axis=0, return_inverse=True)[1].reshape(-1)
    group_N[np.argsort(label_N, kind="stable")] = np.arange(N) % groups
    whole = metric(answers, truth)
    without_G = np.array([metric(answers[group_N != g], truth[group_N != g]) for g in range(groups)])
    return whole + (groups - 1) * (without_G.mean() - without_G)


@dataclass(frozen=True)
class Metric:
    """Something to compare recipes by. `measure` takes one run's answers as `Measure` says and gives the metric, or, where that is
    a mean over samples, the value of each sample (N,). of_label_sets: it is only of samples that may have several classes."""

    title: str
    measure: Callable[[np.ndarray, np.ndarray], Any]
    is_mean: bool = False
    of_probabilities: bool = False
    smaller_is_better: bool = False
    is_share: bool = True  # shown in per cent
    of_label_sets: bool = False
    is_right: bool = False  # of each sample, whether it is right

    def text(self, value: float, sign: str = "") -> str:
        """A value as people read it; sign: "+" for a difference."""
        return f"{100 * value:{sign}.1f}" if self.is_share else f"{value:{sign}.3f}"

    def value(self, answers: np.ndarray, truth: np.ndarray) -> float:
        """The metric of one run."""
        return float(np.mean(self.measure(answers, truth)))

    def parts(self, answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Values whose mean is the metric of one run: one a sample, or one a group of samples where it is no mean."""
        return self.measure(answers, truth) if self.is_mean else pseudo_values(self.value, answers, truth)

    def answers_of(self, said: Said) -> np.ndarray:
        """Of what a run said, what this metric is a function of."""
        self.require(said.multi_label)
        return said.probs_NK if self.of_probabilities else said.predicted

    def require(self, multi_label: bool) -> None:
        """RunError where it means nothing of samples with exactly one class."""
        if self.of_label_sets and not multi_label:
            accepted = ", ".join(name for name, metric in METRICS.items() if not metric.of_label_sets)
            raise RunError(
                f"metric {self.title} is of samples that may have several labels, and these have one each; accepted: {accepted}"
            )

    def difference(self, answers_a_SN: np.ndarray, answers_b_SN: np.ndarray, truth: np.ndarray) -> Difference:
        """The metric of b minus that of a, seed by seed, on the same samples."""
        parts_a_SN, parts_b_SN = (
            np.stack([self.parts(one, truth) for one in answers]) for answers in (answers_a_SN, answers_b_SN)
        )
        return self.between(parts_a_SN, parts_b_SN, len(truth))

    def between(self, parts_a_SN: np.ndarray, parts_b_SN: np.ndarray, samples: int) -> Difference:
        """Of b minus a, from the `parts` of their runs, seed by seed."""
        if self.is_right and len(parts_a_SN) == 1:
            return self.told(paired_binary(parts_a_SN[0] > 0, parts_b_SN[0] > 0), samples)
        return self.told(crossed_interval(parts_b_SN - parts_a_SN), samples)

    def told(self, found: Difference, samples: int) -> Difference:
        """An interval that was found from `parts`, with what it is about."""
        method = found.method if self.is_mean else f"{found.method}; jackknife over {found.samples} groups of samples"
        margin = MARGIN if self.is_share else 0.0
        return replace(found, samples=samples, method=method, smaller_is_better=self.smaller_is_better, margin=margin)


def _right(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return right_N(predicted, truth).astype(float)


METRICS = {
    "accuracy": Metric("accuracy", _right, is_mean=True, is_right=True),
    "macro_f1": Metric("macro-F1", macro_f1),
    "worst_class": Metric("worst class", worst_recall),
    "log_loss": Metric(
        "log-loss", log_loss_N, is_mean=True, of_probabilities=True, smaller_is_better=True, is_share=False
    ),
    "calibration_error": Metric("calibration error", calibration_error, of_probabilities=True, smaller_is_better=True),
    "hamming_accuracy": Metric("Hamming accuracy", hamming_accuracy_N, is_mean=True, of_label_sets=True),
    "micro_f1": Metric("micro-F1", micro_f1, of_label_sets=True),
    "mean_average_precision": Metric(
        "mean average precision", mean_average_precision, of_probabilities=True, of_label_sets=True
    ),
}


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with different seeds, on the same samples. Classes are numbers; `answers_SN` is what the metric is a
    function of: class numbers (S, N) or probabilities (S, N, K). Where a sample may have several classes, `truth` and
    `predicted_SN` are bool, (N, K) and (S, N, K). part: test or val; left_out: samples of it that not every run answered."""

    name: str
    runs: tuple[RunFolder, ...]
    seeds: tuple[int, ...]
    truth: np.ndarray
    predicted_SN: np.ndarray
    answers_SN: np.ndarray
    value_S: np.ndarray  # the metric of every run
    seconds: float  # mean training time
    part: str = "test"
    left_out: int = 0

    @property
    def right_SN(self) -> np.ndarray:
        """bool: was sample n answered rightly by the run with seed s."""
        return np.stack([right_N(predicted, self.truth) for predicted in self.predicted_SN])

    @property
    def accuracy_S(self) -> np.ndarray:
        return self.right_SN.mean(axis=1)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 %, over seeds x samples; of fewer than three seeds over samples alone, which says nothing of other seeds."""
        return accuracy_interval(self.right_SN)

    @property
    def samples_text(self) -> str:
        """'431 test samples', and how many were left out."""
        text = f"{len(self.truth)} {'test' if self.part == 'test' else 'validation'} samples"
        return text + (f" (without {self.left_out} that not every run answered)" if self.left_out else "")


@dataclass(frozen=True)
class Comparison:
    """One group against the reference: the difference over the seeds both have, its p-values corrected for how many groups were
    compared (Holm), and for accuracy with one seed McNemar's test."""

    group: Group
    difference: Difference
    mcnemar: tuple[int, int, float] | None
    p_holm: float
    p_too_small_holm: float

    @property
    def verdict(self) -> str:
        return self.difference.verdict_at(self.p_holm, self.p_too_small_holm)


def compare_runs(folders: list[RunFolder], metric: str = "accuracy") -> tuple[Group, list[Comparison], int]:
    """(the reference, every other recipe against it, samples): the first run's recipe is the reference. Runs are grouped by what
    was asked of them apart from the seed, and joined by the ids of their samples. metric: a name in METRICS."""
    if metric not in METRICS:
        raise RunError(unknown("metric", metric, METRICS))
    groups = group_runs(folders, metric)
    if len(groups) < 2:
        raise RunError(f"{len(folders)} runs of one recipe: give runs of at least two recipes to compare")
    reference, others = groups[0], groups[1:]
    return reference, compare_groups(reference, others, metric), len(reference.truth)


def compare_groups(reference: Group, others: list[Group], metric: str = "accuracy") -> list[Comparison]:
    """Each against the reference, corrected for how many they are."""
    found = [paired(reference, group, metric) for group in others]
    adjusted = holm([d.p for d in found]), holm([d.p_too_small for d in found])
    return [
        Comparison(group, d, _mcnemar(reference, group, d, metric), p, p_too_small)
        for group, d, p, p_too_small in zip(others, found, *adjusted, strict=True)
    ]


def paired(reference: Group, group: Group, metric: str = "accuracy") -> Difference:
    """One group against the reference, over the seeds both have; one run each may differ in its seed."""
    rows_a, rows_b = _pairs(reference, group)
    return METRICS[metric].difference(reference.answers_SN[rows_a], group.answers_SN[rows_b], reference.truth)


def _pairs(reference: Group, group: Group) -> tuple[list[int], list[int]]:
    """Which runs of both go together."""
    common = sorted(set(reference.seeds) & set(group.seeds))
    if common:
        return [reference.seeds.index(seed) for seed in common], [group.seeds.index(seed) for seed in common]
    if len(reference.seeds) == len(group.seeds) == 1:
        return [0], [0]
    raise RunError(
        f"'{reference.name}' has the seeds {reference.seeds}, '{group.name}' {group.seeds}: none in common to pair"
    )


def _mcnemar(reference: Group, group: Group, found: Difference, metric: str) -> tuple[int, int, float] | None:
    if metric != "accuracy" or found.seeds != 1:
        return None
    (a, *_), (b, *_) = _pairs(reference, group)
    return mcnemar(reference.right_SN[a], group.right_SN[b])


def group_runs(folders: list[RunFolder], metric: str = "accuracy") -> list[Group]:
    """Runs by what was asked of them apart from the seed, in the order in which each recipe first comes, on the samples that all
    have answered: test samples, or validation samples where not every run has a test part. RunError where no sample is common to
    all, a sample has another label in another run, or classes differ and matter."""
    chosen = METRICS[metric]
    metrics = [folder.read_json(folder.metrics) for folder in folders]
    part = "test" if all("test" in one for one in metrics) else "val"
    said: list[Said] = []
    for folder in folders:
        said.append(said_by(folder, part, said[0].number if said else None))
        if (chosen.of_probabilities or said[0].multi_label) and said[-1].classes != said[0].classes:
            raise RunError(
                f"{folder.path} answered with the classes {', '.join(said[-1].classes)}, {folders[0].path} with "
                f"{', '.join(said[0].classes)}: their {chosen.title} cannot be paired"
            )
    said, left_out = joined(said, [str(folder.path) for folder in folders])
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(metrics):
        rows.setdefault(one["asked_hash"], []).append(row)
    groups = []
    for found in rows.values():
        found.sort(key=lambda row: metrics[row]["seed"])
        seeds = [metrics[row]["seed"] for row in found]
        twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
        if twice is not None:
            same = [str(folders[row].path) for row in found if metrics[row]["seed"] == twice]
            raise RunError(f"{' and '.join(same)} are the same recipe with the same seed {twice}: nothing to compare")
        answers = [chosen.answers_of(said[row]) for row in found]
        groups.append(
            Group(
                name=_common_name([folders[row].name for row in found]),
                runs=tuple(folders[row] for row in found),
                seeds=tuple(seeds),
                truth=said[0].truth,
                predicted_SN=np.stack([said[row].predicted for row in found]),
                answers_SN=np.stack(answers),
                value_S=np.array([chosen.value(one, said[0].truth) for one in answers]),
                seconds=float(np.mean([metrics[row]["cost"]["train_seconds"] for row in found])),
                part=part,
                left_out=left_out,
            )
        )
    return groups


def _common_name(names: list[str]) -> str:
    """'waste' of waste-s0 and waste-s1; the name itself where there is one."""
    stems = {re.sub(r"[-_ ]+(?:s|seed)?[-_ ]?\d+$", "", name) for name in names}
    return stems.pop() if len(names) > 1 and len(stems) == 1 else names[0]
