"""Estimate the effect of each factor of a study with its interval, from predictions sample by sample.

Seeds (runs) and samples are two crossed random factors. An interval over only seeds or only samples is too narrow.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtr, polygamma, psi

from whet.core.language import Sentence, english
from whet.evaluate.difference import (
    LEAST_SEEDS,
    LEVEL,
    Difference,
    Variance,
    crossed_variance,
    interval,
)

_MOST_PRIOR = 1.0  # maximum prior degrees of freedom from other factors; set by benchmarks/study_truth.py
_LIKE_OTHERS = 0.45  # a factor whose variance is above this quantile of the prior keeps its own variance
_POWER = 0.84  # normal quantile of 80 % power to detect an effect of the estimated size
_MOST_SEEDS, _USUAL_SEEDS, _MOST_TIMES = 100, 10, 1000


def fitted_effects(value_RN: np.ndarray, coded_RP: np.ndarray, block_R: np.ndarray) -> list[Difference]:
    """Estimate the change from low to high for every column of the design, by least squares within each seed's block of runs.

    value_RN: the metric of each run on each sample; block_R: its seed. Each seed gives one effect per sample. Their mean has the
    interval of `crossed_interval`, except that the variance between seeds, which has only S - 1 degrees of freedom, is `moderated`
    with the variances of the other columns. Blocks whose columns are not identifiable, for example because runs failed, are
    excluded. A column with fewer than three seeds has an interval over samples only. Raises ValueError if the columns are not
    identifiable in any block.
    """
    rows = [np.flatnonzero(block_R == seed) for seed in np.unique(block_R)]
    blocks = [block for block in rows if _weights(coded_RP[block]) is not None]
    columns = _columns(value_RN, coded_RP, blocks)
    tested = [column for column in columns if column.seeds >= LEAST_SEEDS]
    spread = [column.between for column in tested] + _between_residuals(value_RN, coded_RP, blocks)
    freedom = [column.seeds - 1 for column in tested] + [len(blocks) - 1] * (len(spread) - len(tested))
    lent = iter(moderated(spread, freedom))
    return [
        column.crossed(*next(lent)) if column.seeds >= LEAST_SEEDS else column.of_these_runs() for column in columns
    ]


def _design(coded_RP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(intercept and the columns that vary, the indices of these columns)."""
    varied = np.flatnonzero(np.ptp(coded_RP, axis=0))
    return np.column_stack([np.ones(len(coded_RP)), coded_RP[:, varied]]), varied


def _weights(coded_RP: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(indices of the columns that vary, least-squares weights (P, R) of the runs); None if the columns are not identifiable."""
    return _weights_of(coded_RP.tobytes(), coded_RP.shape, coded_RP.dtype.str)


@functools.lru_cache(maxsize=64)
def _weights_of(coded: bytes, shape: tuple[int, int], kind: str) -> tuple[np.ndarray, np.ndarray] | None:
    design, varied = _design(np.frombuffer(coded, dtype=kind).reshape(shape))
    if len(varied) == 0 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    return varied, 2 * np.linalg.pinv(design)[1:]


def _columns(value_RN: np.ndarray, coded_RP: np.ndarray, blocks: list[np.ndarray]) -> list[_Column]:
    effects: list[list[np.ndarray]] = [[] for _ in range(coded_RP.shape[1])]
    lengths: list[list[float]] = [[] for _ in range(coded_RP.shape[1])]
    for rows in blocks:
        weights = _weights(coded_RP[rows])
        assert weights is not None
        effect_PN = np.round(
            weights[1] @ value_RN[rows], 12
        )  # runs with equal predictions differ by exactly zero, not by rounding errors
        for p, effect_N, weight_R in zip(weights[0], effect_PN, weights[1], strict=True):
            effects[p].append(effect_N)
            lengths[p].append(float((weight_R**2).sum()))
    if not all(effects):
        raise ValueError(
            f"{len(value_RN)} runs are not enough to estimate {coded_RP.shape[1]} effects: more runs or more seeds are needed"
        )
    return [_Column(np.stack(found), np.array(length)) for found, length in zip(effects, lengths, strict=True)]


@dataclass(frozen=True)
class _Column:
    """The effects of a column by seed and sample, (B, N). length_B: the variance of each, as a multiple of the variance of one
    run."""

    effect_BN: np.ndarray
    length_B: np.ndarray

    @property
    def seeds(self) -> int:
        return len(self.effect_BN)

    @property
    def _share_B(self) -> np.ndarray:
        return (1 / self.length_B) / (1 / self.length_B).sum()

    @functools.cached_property
    def mean_N(self) -> np.ndarray:
        return self._share_B @ self.effect_BN

    @functools.cached_property
    def _away_B(self) -> np.ndarray:
        return self.effect_BN.mean(axis=1) - self.mean_N.mean()

    @property
    def between(self) -> float:
        """Mean square between seeds, scaled to the variance of one run."""
        return float((self._away_B**2 / self.length_B).sum()) / (self.seeds - 1)

    @property
    def rest(self) -> float:
        """Mean square of the residual, scaled to the variance of one run."""
        rest_BN, N = (self.effect_BN - self.mean_N) - self._away_B[:, None], self.effect_BN.shape[1]
        return float(((rest_BN**2).sum(axis=1) / self.length_B).sum()) / ((self.seeds - 1) * (N - 1)) / N

    def crossed(self, between: float, freedom: float) -> Difference:
        N, length = self.effect_BN.shape[1], 1 / float((1 / self.length_B).sum())
        samples = float(self.mean_N.var(ddof=1)) / N
        variance = crossed_variance(between * length, freedom, samples, self.rest * length, N)
        return interval(
            float(self.mean_N.mean()),
            variance,
            self.seeds,
            N,
            english("least squares, crossed seeds x samples, moderated"),
        )

    def of_these_runs(self) -> Difference:
        N = self.effect_BN.shape[1]
        variance = Variance(0.0, 1.0, float(self.mean_N.var(ddof=1)) / N, N - 1)
        return interval(float(self.mean_N.mean()), variance, self.seeds, N, english("least squares, samples only"))


def _between_residuals(value_RN: np.ndarray, coded_RP: np.ndarray, blocks: list[np.ndarray]) -> list[float]:
    """The mean squares between seeds of the residual contrasts, if all blocks have the same rows. These contrasts are orthogonal to
    all factors, so they measure how much runs differ by chance."""
    first = coded_RP[blocks[0]] if blocks else coded_RP
    if len(blocks) < LEAST_SEEDS or any(not np.array_equal(coded_RP[rows], first) for rows in blocks):
        return []
    design, _ = _design(first)
    left_QR = np.linalg.svd(design.T)[2][design.shape[1] :]
    by_seed_BQ = np.stack([left_QR @ value_RN[rows].mean(axis=1) for rows in blocks])
    return by_seed_BQ.var(axis=0, ddof=1).tolist()


def moderated(variances: Sequence[float], freedoms: Sequence[int]) -> list[tuple[float, float]]:
    """Moderated (variance, degrees of freedom) of each: (d0 s0² + d s²) / (d0 + d) and d0 + d. The prior d0 and s0² are fitted to
    all variances by empirical Bayes, with d0 at most 1.

    A variance above the 0.45 quantile of the prior is not lowered, because the other factors are not informative about a factor
    with a larger seed variance. Source: Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
    expression", section 6.2; Phipson et al. 2016 for outlier variances.
    """
    s2_G, d_G = np.array(variances, dtype=float), np.array(freedoms, dtype=float)
    if len(s2_G) < 2 or s2_G.max() <= 0:
        return list(zip(s2_G.tolist(), d_G.tolist(), strict=True))
    log_G = np.log(np.maximum(s2_G, 1e-5 * s2_G.mean())) - psi(d_G / 2) + np.log(d_G / 2)
    over = float(log_G.var(ddof=1) - polygamma(1, d_G / 2).mean())
    if over > 0:
        d0 = 2 * _trigamma_inverse(over)
        expected = float(np.exp(log_G.mean() + psi(d0 / 2) - np.log(d0 / 2)))
    else:
        d0, expected = np.inf, float(s2_G.mean())
    d0 = min(d0, _MOST_PRIOR)
    own_G = fdtr(d_G, d0, s2_G / expected) > _LIKE_OTHERS
    lent_G = (d0 * expected + d_G * s2_G) / (d0 + d_G)
    value_G = np.where(own_G, np.maximum(s2_G, lent_G), lent_G)
    return list(zip(value_G.tolist(), np.where(own_G, d_G, d0 + d_G).tolist(), strict=True))


def _trigamma_inverse(value: float) -> float:
    """Newton's iteration of Smyth 2004, appendix."""
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y


def interactions(coded_RP: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """(pairs of factors, their columns (R, Q)). Each column is the product of the two factors' columns."""
    pairs = [(a, b) for a in range(coded_RP.shape[1]) for b in range(a + 1, coded_RP.shape[1])]
    return pairs, np.stack([coded_RP[:, a] * coded_RP[:, b] for a, b in pairs], axis=1) if pairs else coded_RP[:, :0]


@dataclass(frozen=True)
class ToDecide:
    """seeds: the approximate total number of seeds; more_samples: the number of additional validation samples."""

    seeds: int
    more_samples: int = 0

    def text(self) -> Sentence:
        if self.more_samples:
            return english(
                "about {samples} more validation samples and {seeds} seeds would decide",
                samples=self.more_samples, seeds=self.seeds,
            )  # fmt: skip
        return english("about {seeds} seeds would decide", seeds=self.seeds)


def to_decide(found: Difference, questions: int) -> ToDecide | None:
    """The seeds, or samples if no number of seeds is enough, that detect an effect of the estimated size with a power of 80 %. None
    if it cannot be computed: fewer than three seeds, no effect, or more than a thousand times the samples. questions: the number of
    simultaneous comparisons."""
    if not found.assessed or found.variance is None or found.mean == 0:
        return None

    def detects(variance: Variance) -> bool:
        power = _POWER * variance.total**0.5
        return variance.p_value(max(0.0, abs(found.mean) - power)) < LEVEL / questions

    for seeds in range(found.seeds, _MOST_SEEDS + 1):
        if detects(found.variance.with_seeds(found.seeds, seeds)):
            return ToDecide(seeds)
    usual = max(found.seeds, _USUAL_SEEDS)
    variance, low, high = found.variance.with_seeds(found.seeds, usual), found.samples, _MOST_TIMES * found.samples
    if not detects(variance.with_samples(found.samples, high)):
        return None
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        low, high = (low, middle) if detects(variance.with_samples(found.samples, middle)) else (middle, high)
    return ToDecide(usual, high - found.samples)
