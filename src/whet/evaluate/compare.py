"""Two recipes compared on the same test samples: how large is the difference, and how sure is it?"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, t

from whet.core.errors import RunError
from whet.core.run_folder import RunFolder
from whet.evaluate.metrics import wilson_interval


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its 95 % interval (both in the metric's own unit) and how it was found."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    samples: int
    method: str

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no evidence"


def crossed_interval(difference_SN: np.ndarray, level: float = 0.95) -> Difference:
    """Mean of paired differences over seeds x samples, both taken as random and crossed.

    With the mean squares vs (between seeds / S), vi (between samples / N) and vr (residual / SN) the variance of the mean is
    max(vs - vr, 0) + max(vi - vr, 0) + vr; degrees of freedom by Satterthwaite; t interval. One seed: a t interval over the
    samples alone, which says nothing of other seeds.
    """
    S, N = difference_SN.shape
    mean = float(difference_SN.mean())
    if S == 1:
        variance, freedom = float(difference_SN.var(ddof=1)) / N if N > 1 else 0.0, max(N - 1, 1)
        return _interval(mean, variance, freedom, S, N, level, "paired t over samples, one seed")
    seed_S, sample_N = difference_SN.mean(axis=1), difference_SN.mean(axis=0)
    residual = difference_SN - seed_S[:, None] - sample_N[None, :] + mean
    vs = float(((seed_S - mean) ** 2).sum()) / (S - 1) / S
    vi = float(((sample_N - mean) ** 2).sum()) / (N - 1) / N
    vr = float((residual**2).sum()) / ((S - 1) * (N - 1)) / (S * N)
    variance = max(vs - vr, 0) + max(vi - vr, 0) + vr
    # Satterthwaite over the mean squares that enter, each with its own degrees of freedom.
    weight_s, weight_i = float(vs > vr), float(vi > vr)
    parts = [(weight_s * vs, S - 1), (weight_i * vi, N - 1), ((1 - weight_s - weight_i) * vr, (S - 1) * (N - 1))]
    spread = sum(value**2 / df for value, df in parts)
    freedom = variance**2 / spread if spread > 0 else (S - 1) * (N - 1)
    return _interval(mean, variance, freedom, S, N, level, "crossed seeds x samples")


def _interval(mean: float, variance: float, freedom: float, S: int, N: int, level: float, method: str) -> Difference:
    error = variance**0.5
    half = float(t.ppf(0.5 + level / 2, freedom)) * error
    p = float(2 * t.sf(abs(mean) / error, freedom)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, S, N, method)


def mcnemar(right_a_N: np.ndarray, right_b_N: np.ndarray) -> tuple[int, int, float]:
    """(only b right, only a right, exact two-sided p) for two models on the same samples. Source: McNemar 1947, exact binomial."""
    gained = int((~right_a_N & right_b_N).sum())
    lost = int((right_a_N & ~right_b_N).sum())
    return gained, lost, float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


@dataclass(frozen=True)
class Group:
    """Runs of one recipe with different seeds, on the same test samples."""

    name: str
    runs: tuple[RunFolder, ...]
    seeds: tuple[int, ...]
    right_SN: np.ndarray  # bool: was sample n answered rightly by the run with seed s
    seconds: float  # mean training time

    @property
    def accuracy_S(self) -> np.ndarray:
        return self.right_SN.mean(axis=1)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 %: of one seed Wilson's, which says nothing of other seeds; of several over seeds x samples."""
        S, N = self.right_SN.shape
        if S == 1:
            return wilson_interval(float(self.right_SN.sum()), N)
        found = crossed_interval(self.right_SN.astype(float))
        return max(0.0, found.low), min(1.0, found.high)


@dataclass(frozen=True)
class Comparison:
    """One group against the reference: the difference in accuracy over the seeds both have, and McNemar's test for one seed."""

    group: Group
    difference: Difference
    mcnemar: tuple[int, int, float] | None


def compare_runs(folders: list[RunFolder]) -> tuple[Group, list[Comparison], int]:
    """(the reference, every other recipe against it, test samples): the first run's recipe is the reference. Runs are grouped
    by what was asked of them apart from the seed; all must have answered the same test samples with the same classes."""
    groups = group_runs(folders)
    if len(groups) < 2:
        raise RunError(f"{len(folders)} runs of one recipe: give runs of at least two recipes to compare")
    reference, others = groups[0], groups[1:]
    return reference, [paired(reference, group) for group in others], reference.right_SN.shape[1]


def paired(reference: Group, group: Group) -> Comparison:
    """One group against the reference, over the seeds both have; one run each may differ in its seed."""
    common = sorted(set(reference.seeds) & set(group.seeds))
    if common:
        a = reference.right_SN[[reference.seeds.index(seed) for seed in common]]
        b = group.right_SN[[group.seeds.index(seed) for seed in common]]
    elif len(reference.seeds) == len(group.seeds) == 1:
        a, b = reference.right_SN, group.right_SN
    else:
        raise RunError(
            f"'{reference.name}' has the seeds {reference.seeds}, '{group.name}' {group.seeds}: none in common to pair"
        )
    difference = crossed_interval(b.astype(float) - a.astype(float))
    return Comparison(group, difference, mcnemar(a[0], b[0]) if len(a) == 1 else None)


def group_runs(folders: list[RunFolder]) -> list[Group]:
    """Runs by what was asked of them apart from the seed, in the order in which each recipe first comes. All must have answered
    the same test samples (validation samples, where there is no test part) with the same classes."""
    answers: dict[str, list[tuple[int, RunFolder, np.ndarray, float]]] = {}
    expected: tuple[RunFolder, list[tuple[str, str]]] | None = None
    for folder in folders:
        metrics = folder.read_json(folder.metrics)
        part = "test" if "test" in metrics else "val"
        frame = folder.read_predictions()
        frame = frame[frame["split"] == part].sort_values("id")
        samples = list(zip(frame["id"], frame["label"]))
        if expected is None:
            expected = folder, samples
        elif samples != expected[1]:
            extra = sorted(set(samples) ^ set(expected[1]))[:3]
            raise RunError(
                f"{folder.path} and {expected[0].path} answered different test samples ({len(samples)} and {len(expected[1])}), "
                f"for example {', '.join(f'{id_} ({label})' for id_, label in extra)}; only the same samples can be paired"
            )
        right = (frame["label"] == frame["predicted"]).to_numpy(bool)
        answers.setdefault(metrics["asked_hash"], []).append(
            (metrics["seed"], folder, right, metrics["cost"]["train_seconds"])
        )
    groups = []
    for found in answers.values():
        found.sort(key=lambda entry: entry[0])
        seeds = [seed for seed, *_ in found]
        twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
        if twice is not None:
            same = [str(folder.path) for seed, folder, *_ in found if seed == twice]
            raise RunError(f"{' and '.join(same)} are the same recipe with the same seed {twice}: nothing to compare")
        groups.append(
            Group(
                name=_common_name([folder.name for _, folder, *_ in found]),
                runs=tuple(folder for _, folder, *_ in found),
                seeds=tuple(seeds),
                right_SN=np.stack([right for _, _, right, _ in found]),
                seconds=float(np.mean([seconds for *_, seconds in found])),
            )
        )
    return groups


def _common_name(names: list[str]) -> str:
    """'waste' of waste-s0 and waste-s1; the name itself where there is one."""
    stems = {re.sub(r"[-_ ]+(?:s|seed)?[-_ ]?\d+$", "", name) for name in names}
    return stems.pop() if len(names) > 1 and len(stems) == 1 else names[0]
