"""A difference between two recipes with its interval and verdict. Seeds and samples are both random factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, stdtrit
from scipy.stats import beta, binomtest

from whet.core.errors import RunError
from whet.core.language import english
from whet.evaluate.rates import wilson_interval

LEVEL = 0.05
LEAST_SEEDS = 3  # minimum number of seeds to estimate the variance between seeds
MARGIN = 0.01  # one percentage point: a smaller difference of a share is not relevant
HELPS, HURTS, TOO_SMALL, UNDECIDED, NOT_ASSESSED = (
    english("helps"), english("hurts"), english("no difference worth having"), english("undecided"),
    english("not assessed"),
)  # fmt: skip

LEAST_SAMPLES = 2
_LEAST_DIFFERING = (
    2  # samples: lower bound of the number of differing samples, so that small test sets never prove equality
)
# Probability of excess for the variance between seeds, used for intervals and verdicts (see `half_width`);
# benchmarks/study_truth.py verifies that the intervals cover 92 to 98 % and that at most 5 % of verdicts are wrong.
_INTERVAL_CHANCE, _VERDICT_CHANCE = 2.0, 1.0
_LEAST_P = 1e-25  # smallest reported p-value
_GRID = 200  # quantiles of each of the two distributions in `paired_binary`


@dataclass(frozen=True)
class Variance:
    """The variance of a mean over two crossed random factors. seeds: the mean square between seeds, which includes the residual;
    rest: the residual part of it, which is estimated more precisely. samples: the part due to samples. Each as a variance of the
    mean."""

    seeds: float
    seed_freedom: float
    samples: float
    sample_freedom: float
    rest: float = 0.0

    @property
    def total(self) -> float:
        return max(self.seeds, self.rest) + self.samples

    def half_width(self, level: float, chance: float) -> float:
        """Half width of the interval at this level (0.05 for 95 %): the root of
        t_seeds² max(seeds - f rest, 0) + t_samples² (rest + samples).

        The mean square between seeds is at least the share f of the residual with probability 1 - chance √level even if seeds have
        no effect: f is that quantile of chi²/d, at most 1. With f = 1, a few seeds that agree by chance would give too narrow
        intervals; with f = 0, seeds without effect would widen them. Without a residual it is the t interval over seeds if only
        seeds differ, else that over samples. Source: sums of squares weighted by squared quantiles are those of Howe 1974 and Ting
        et al. 1990; f, instead of their signs, was found by integrating the coverage.
        """
        d = self.seed_freedom
        known = min(1.0, 2 / d * float(gammaincinv(d / 2, min(1.0, chance * level**0.5)))) * self.rest
        t_seeds, t_samples = stdtrit(d, level / 2), stdtrit(self.sample_freedom, level / 2)
        return float((t_seeds**2 * max(self.seeds - known, 0.0) + t_samples**2 * (self.rest + self.samples)) ** 0.5)

    def p_value(self, distance: float) -> float:
        """The level at which half of the interval has the length `distance` (>= 0), with the constant for verdicts."""
        if self.total == 0 or distance == 0:
            return float(distance <= 0)

        def too_long(logarithm: float) -> float:
            return self.half_width(math.exp(logarithm), _VERDICT_CHANCE) - distance

        least = math.log(_LEAST_P)
        return _LEAST_P if too_long(least) <= 0 else math.exp(brentq(too_long, least, 0.0, xtol=1e-9))

    def with_seeds(self, now: int, then: int) -> Variance:
        """The expected variance with another number of seeds."""
        ratio, freedom = now / then, self.seed_freedom + then - now
        return replace(self, seeds=self.seeds * ratio, rest=self.rest * ratio, seed_freedom=freedom)

    def with_samples(self, now: int, then: int) -> Variance:
        ratio = now / then
        return replace(
            self, seeds=self.seeds - min(self.seeds, self.rest) * (1 - ratio), rest=self.rest * ratio, samples=self.samples * ratio,
            sample_freedom=self.sample_freedom + then - now,
        )  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its 95 % interval (both in the metric's own unit) and the method. margin: the smallest relevant
    difference, 0 where none is defined."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    samples: int
    method: str
    smaller_is_better: bool = False
    margin: float = 0.0
    variance: Variance | None = None

    @property
    def assessed(self) -> bool:
        """Whether there are enough seeds for a verdict."""
        return self.seeds >= LEAST_SEEDS

    @property
    def is_gain(self) -> bool:
        """Whether the mean is an improvement."""
        return self.mean < 0 if self.smaller_is_better else self.mean > 0

    @property
    def verdict(self) -> str:
        """The verdict for this difference alone; use `verdict_at` for several comparisons."""
        return self.verdict_at(self.p, self.p_too_small)

    def verdict_at(self, p: float, p_too_small: float) -> str:
        """The verdict for p-values corrected for multiple comparisons."""
        if not self.assessed:
            return NOT_ASSESSED
        if p < LEVEL and self.mean != 0:
            return HELPS if self.is_gain else HURTS
        return TOO_SMALL if p_too_small < LEVEL else UNDECIDED

    @property
    def p_too_small(self) -> float:
        """Below 0.05 if the interval at that level lies within ± margin: two one-sided tests. Source: Schuirmann 1987."""
        if self.margin == 0 or self.variance is None or abs(self.mean) >= self.margin:
            return 1.0
        least = (_LEAST_DIFFERING / self.samples) ** 2
        variance = replace(self.variance, samples=max(self.variance.samples, least))
        return variance.p_value(self.margin - abs(self.mean))

    @property
    def chance_to_help(self) -> float | None:
        """The probability of an improvement under a flat prior; None without a verdict."""
        if not self.assessed:
            return None
        return 1 - self.p / 2 if self.is_gain else self.p / 2


def crossed_interval(difference_SN: np.ndarray) -> Difference:
    """The mean of paired differences over seeds x samples, two crossed random factors.

    With the mean squares vs (between seeds / S), vi (between samples / N) and vr (residual / SN) the variance of the mean is
    max(vs, vr) + max(vi - vr, 0); see `Variance` for the interval. Fewer than three seeds: an interval over the samples alone,
    which does not generalise to other runs, and no verdict. RunError where there are fewer than two samples.
    """
    S, N = difference_SN.shape
    mean = float(difference_SN.mean())
    if N < LEAST_SAMPLES:
        raise RunError(f"{N} sample: a difference needs at least {LEAST_SAMPLES} samples")
    if S < LEAST_SEEDS:
        found = Variance(0.0, 1.0, float(difference_SN.mean(axis=0).var(ddof=1)) / N, N - 1)
        return interval(mean, found, S, N, f"samples alone, {S} {'seed' if S == 1 else 'seeds'}")
    vs, vi, vr = mean_squares(difference_SN)
    return interval(mean, crossed_variance(vs, S - 1, vi, vr, N), S, N, english("crossed seeds x samples"))


def mean_squares(value_SN: np.ndarray) -> tuple[float, float, float]:
    """(between seeds / S, between samples / N, residual / SN): the variance of the mean due to each."""
    S, N = value_SN.shape
    seed_S, sample_N, mean = value_SN.mean(axis=1), value_SN.mean(axis=0), value_SN.mean()
    rest_SN = value_SN - seed_S[:, None] - sample_N[None, :] + mean
    return (
        float(((seed_S - mean) ** 2).sum()) / (S - 1) / S,
        float(((sample_N - mean) ** 2).sum()) / (N - 1) / N,
        float((rest_SN**2).sum()) / ((S - 1) * (N - 1)) / (S * N),
    )


def crossed_variance(seeds: float, seed_freedom: float, samples: float, rest: float, N: int) -> Variance:
    """max(vs, vr) + max(vi - vr, 0), from the mean squares."""
    return Variance(seeds, seed_freedom, max(samples - rest, 0.0), N - 1, rest)


def interval(mean: float, variance: Variance, seeds: int, samples: int, method: str) -> Difference:
    half, p = variance.half_width(LEVEL, _INTERVAL_CHANCE), variance.p_value(abs(mean))
    return Difference(mean, mean - half, mean + half, p, seeds, samples, method, variance=variance)


def mcnemar(right_a_N: np.ndarray, right_b_N: np.ndarray) -> tuple[int, int, float]:
    """(only b right, only a right, exact two-sided p) for two models on the same samples. Source: McNemar 1947, exact binomial."""
    gained = int((~right_a_N & right_b_N).sum())
    lost = int((right_a_N & ~right_b_N).sum())
    return (
        gained,
        lost,
        float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0,
    )


def paired_binary(right_a_N: np.ndarray, right_b_N: np.ndarray) -> Difference:
    """One run b compared with another, a, by whether each predicted the same samples correctly, bool (N,). The p-value is McNemar's
    exact one, and the interval excludes zero where it is below 0.05. The result does not generalise to other seeds.

    The share of samples on which they differ and the share of these that b gained each have Clopper-Pearson distributions, whose
    product gives the ends. Source: Fay & Lumbard 2021, "Confidence intervals for difference in proportions for matched pairs
    compatible with exact McNemar's or sign tests", Statistics in Medicine 40.
    """
    gained, lost, p = mcnemar(right_a_N, right_b_N)
    samples = len(right_a_N)
    differ, unit_G = gained + lost, (np.arange(_GRID) + 0.5) / _GRID

    def ends(count: int, total: int) -> tuple[np.ndarray, np.ndarray]:
        low = beta.ppf(unit_G, count, total - count + 1) if count else np.zeros(_GRID)
        high = beta.ppf(unit_G, count + 1, total - count) if count < total else np.ones(_GRID)
        return low, high

    (few_G, many_G), (least_G, most_G) = ends(differ, samples), ends(gained, differ)

    def product(share_G: np.ndarray, of_share: float) -> float:
        side_G = 2 * share_G - 1
        outer = many_G if of_share < 0.5 else few_G
        inner = few_G if of_share < 0.5 else many_G
        found = np.where(side_G[:, None] < 0, side_G[:, None] * outer[None, :], side_G[:, None] * inner[None, :])
        return float(np.quantile(found, of_share))

    low, high = product(least_G, LEVEL / 2), product(most_G, 1 - LEVEL / 2)
    mean = (gained - lost) / samples
    return Difference(mean, min(low, mean), max(high, mean), p, 1, samples, english("exact, one seed"))


def accuracy_interval(right_SN: np.ndarray) -> tuple[float, float]:
    """95 % interval of the accuracy of a recipe from its runs with several seeds; right_SN: correct predictions, bool (S, N).

    Wilson's interval with the effective number of independent samples given by the variance over seeds x samples, at most N, and
    the quantile of the t distribution instead of the normal one, so that 100 % correct still has an interval. Fewer than three
    seeds: for these runs alone. Source: Wilson 1927; effective sizes after Korn & Graubard 1998.
    """
    S, N = right_SN.shape
    value_SN = right_SN.astype(float)
    share, freedom = float(value_SN.mean()), np.inf
    if S >= LEAST_SEEDS and N >= LEAST_SAMPLES:
        vs, vi, vr = mean_squares(value_SN)
        seeds, samples = max(vs, vr), max(vi - vr, 0.0)
        variance, spread = seeds + samples, seeds**2 / (S - 1) + samples**2 / (N - 1)
        freedom = variance**2 / spread if spread > 0 else N - 1  # Satterthwaite's approximation
    else:
        variance = float(value_SN.mean(axis=0).var(ddof=1)) / N if S > 1 and N >= LEAST_SAMPLES else 0.0
    worth = min(N, share * (1 - share) / variance) if variance > 0 else N
    return wilson_interval(share * worth, worth, -float(stdtrit(freedom, LEVEL / 2)))


# --- multiple comparisons ---------------------------------------------------------------------------------------------
def holm(p_F: Sequence[float]) -> list[float]:
    """p-values corrected for the family-wise error rate. Source: Holm 1979."""
    order = np.argsort(p_F, kind="stable")
    raised = np.maximum.accumulate([(len(p_F) - place) * p_F[index] for place, index in enumerate(order)])
    adjusted = np.empty(len(p_F))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def benjamini_hochberg(p_F: Sequence[float]) -> list[float]:
    """p-values corrected for the false discovery rate. Source: Benjamini & Hochberg 1995."""
    order = np.argsort(p_F, kind="stable")[::-1]
    lowered = np.minimum.accumulate([p_F[index] * len(p_F) / (len(p_F) - place) for place, index in enumerate(order)])
    adjusted = np.empty(len(p_F))
    adjusted[order] = np.minimum(lowered, 1.0)
    return adjusted.tolist()
