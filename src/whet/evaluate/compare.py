"""Comparison of recipes on the same test samples: the size of the difference and its significance."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from whet.core.errors import RunError
from whet.core.evidence import Evidence, Metric
from whet.core.language import Sentence, english
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
from whet.evaluate.evidence import joined, read_evidence


def difference(metric: Metric, a: Sequence[Evidence], b: Sequence[Evidence]) -> Difference:
    """The metric of b minus that of a, paired by seed, on the same samples."""
    parts_a_SN, parts_b_SN = (np.stack([metric.parts(one) for one in runs]) for runs in (a, b))
    return between(metric, parts_a_SN, parts_b_SN, len(a[0]))


def between(metric: Metric, parts_a_SN: np.ndarray, parts_b_SN: np.ndarray, samples: int) -> Difference:
    """The difference b minus a, from the `parts` of their runs, paired by seed."""
    if metric.is_right and len(parts_a_SN) == 1:
        return about(metric, paired_binary(parts_a_SN[0] > 0, parts_b_SN[0] > 0), samples)
    return about(metric, crossed_interval(parts_b_SN - parts_a_SN), samples)


def about(metric: Metric, found: Difference, samples: int) -> Difference:
    """An interval computed from a metric's `parts`, with the metric's properties filled in."""
    method = found.method
    if not metric.is_mean:
        method = english("{method!t}; jackknife over {n} groups of samples", method=method, n=found.samples)
    margin = MARGIN if metric.is_share else 0.0
    return replace(found, samples=samples, method=method, smaller_is_better=metric.smaller_is_better, margin=margin)


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with different seeds, and their evidence on the same samples. part: test or val; left_out: samples of this
    split that not every run predicted."""

    name: str
    runs: tuple[RunFolder, ...]
    seeds: tuple[int, ...]
    evidence: tuple[Evidence, ...]
    metric: str
    value_S: np.ndarray  # the metric of every run
    seconds: float  # mean training time
    part: str = "test"
    left_out: int = 0

    @property
    def right_SN(self) -> np.ndarray:
        """Where the metric is the share of correct predictions, bool: whether the run with seed s predicted sample n correctly."""
        return self.parts_SN > 0

    @functools.cached_property
    def parts_SN(self) -> np.ndarray:
        """`Metric.parts` of every run."""
        chosen = self.evidence[0].task.metric(self.metric)
        return np.stack([chosen.parts(one) for one in self.evidence])

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the metric, over seeds x samples; for fewer than three seeds over samples alone, which does not
        generalise to other seeds."""
        chosen = self.evidence[0].task.metric(self.metric)
        if chosen.is_right:
            return accuracy_interval(self.right_SN)
        found = crossed_interval(self.parts_SN)
        return (max(0.0, found.low), min(1.0, found.high)) if chosen.is_share else (found.low, found.high)

    @property
    def samples_text(self) -> Sentence:
        """'431 test samples', and how many were left out."""
        values = {"n": len(self.evidence[0]), "part": english("test") if self.part == "test" else english("validation")}
        if not self.left_out:
            return english("{n} {part!t} samples", **values)
        return english(
            "{n} {part!t} samples (without {left_out} that not every run predicted)", **values, left_out=self.left_out
        )


@dataclass(frozen=True)
class Comparison:
    """One group compared with the reference: the difference over their common seeds, its p-values corrected for the number of
    compared groups (Holm), and for accuracy with one seed McNemar's test."""

    group: Group
    difference: Difference
    mcnemar: tuple[int, int, float] | None
    p_holm: float
    p_too_small_holm: float

    @property
    def verdict(self) -> str:
        return self.difference.verdict_at(self.p_holm, self.p_too_small_holm)


def compare_runs(folders: list[RunFolder], metric: str | None = None) -> tuple[Group, list[Comparison], int]:
    """(the reference, every other recipe compared with it, number of samples). The first run's recipe is the reference. Runs are
    grouped by recipe, ignoring the seed, and joined by the ids of their samples. metric: a name in the `metrics` of their task, by
    default its headline."""
    groups = group_runs(folders, metric)
    if len(groups) < 2:
        raise RunError(f"{len(folders)} runs of one recipe: give runs of at least two recipes to compare")
    reference, others = groups[0], groups[1:]
    return reference, compare_groups(reference, others), len(reference.evidence[0])


def compare_groups(reference: Group, others: list[Group]) -> list[Comparison]:
    """Compare each group with the reference by its metric, corrected for multiple comparisons."""
    found = [paired(reference, group) for group in others]
    adjusted = holm([d.p for d in found]), holm([d.p_too_small for d in found])
    return [
        Comparison(group, d, _mcnemar(reference, group, d), p, p_too_small)
        for group, d, p, p_too_small in zip(others, found, *adjusted, strict=True)
    ]


def paired(reference: Group, group: Group) -> Difference:
    """Compare one group with the reference, over their common seeds; two single runs may differ in their seeds."""
    rows_a, rows_b = _pairs(reference, group)
    metric = reference.evidence[0].task.metric(reference.metric)
    return between(metric, reference.parts_SN[rows_a], group.parts_SN[rows_b], len(reference.evidence[0]))


def _pairs(reference: Group, group: Group) -> tuple[list[int], list[int]]:
    """The indices of paired runs in both groups."""
    common = sorted(set(reference.seeds) & set(group.seeds))
    if common:
        return [reference.seeds.index(seed) for seed in common], [group.seeds.index(seed) for seed in common]
    if len(reference.seeds) == len(group.seeds) == 1:
        return [0], [0]
    raise RunError(
        f"'{reference.name}' has the seeds {reference.seeds}, '{group.name}' {group.seeds}: none in common to pair"
    )


def _mcnemar(reference: Group, group: Group, found: Difference) -> tuple[int, int, float] | None:
    if not reference.evidence[0].task.metric(reference.metric).is_right or found.seeds != 1:
        return None
    (a, *_), (b, *_) = _pairs(reference, group)
    return mcnemar(reference.right_SN[a], group.right_SN[b])


def group_runs(folders: list[RunFolder], metric: str | None = None) -> list[Group]:
    """Group runs by recipe, ignoring the seed, in order of first occurrence, on the samples that all runs predicted: test samples,
    or validation samples if not every run has a test split. metric: by default the headline of their task. RunError where the
    runs have no common sample, a sample has different labels, or the classes differ and the metric needs equal classes."""
    metrics = [folder.read_json(folder.metrics) for folder in folders]
    part = "test" if all("test" in one for one in metrics) else "val"
    names = [str(folder.path) for folder in folders]
    found = joined([read_evidence(folder, part) for folder in folders], names)
    evidence, task = found.evidence, found.evidence[0].task
    metric = task.metric_name(metric)
    chosen = task.metric(metric)
    if found.classes_differ and not chosen.is_right:
        accepted = ", ".join(name for name, one in task.metrics.items() if one.is_right)
        raise RunError(
            f"{' and '.join(names)} have different classes: their {chosen.title} cannot be paired"
            + (f"; accepted: {accepted}" if accepted else "")
        )
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(metrics):
        rows.setdefault(one["requested_hash"], []).append(row)
    groups = []
    for same in rows.values():
        same.sort(key=lambda row: metrics[row]["seed"])
        seeds = [metrics[row]["seed"] for row in same]
        twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
        if twice is not None:
            again = [str(folders[row].path) for row in same if metrics[row]["seed"] == twice]
            raise RunError(f"{' and '.join(again)} are the same recipe with the same seed {twice}: nothing to compare")
        groups.append(
            Group(
                name=_common_name([folders[row].name for row in same]),
                runs=tuple(folders[row] for row in same),
                seeds=tuple(seeds),
                evidence=tuple(evidence[row] for row in same),
                metric=metric,
                value_S=np.array([chosen.value(evidence[row]) for row in same]),
                seconds=float(np.mean([metrics[row]["cost"]["train_seconds"] for row in same])),
                part=part,
                left_out=found.left_out,
            )
        )
    return groups


def _common_name(names: list[str]) -> str:
    """'waste' for waste-s0 and waste-s1; the name itself for a single run."""
    stems = {re.sub(r"[-_ ]+(?:s|seed)?[-_ ]?\d+$", "", name) for name in names}
    return stems.pop() if len(names) > 1 and len(stems) == 1 else names[0]
