"""Studies whose effects are known: right or wrong answers of made-up runs, evaluated by whet as those of real ones are.

A sample is answered rightly where its ease, what the factors do to it, the luck of the seed, the luck of the run and the luck of
the answer add up to more than zero (a normal threshold model), so that the effects over all samples, seeds and runs are known in
closed form. The luck of a run is what makes one training end differently from the next: small and large are what the digits and
TrashNet show, 0.4 and 3 points of accuracy. Many studies are made at once; each is evaluated separately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from whet.core.rng import Rng
from whet.evaluate.difference import (
    HELPS,
    HURTS,
    MARGIN,
    TOO_SMALL,
    Difference,
    benjamini_hochberg,
    crossed_interval,
    holm,
)
from whet.studies.design import ONE_AT_A_TIME, design_matrix
from whet.studies.effects import fitted_effects, interactions

EASE, SPREAD, ANSWER, TASTE, SEED = 1.0, 1.0, 0.5, 0.3, 0.1
NOISE = {"small": 0.02, "large": 0.12}  # of a run; an accuracy of 80 % moves by 28 points for 1
EFFECTS = (0.25, -0.15, 0.0, 0.1, 0.0, 0.3, -0.05, 0.0)
FACTORS = {"screen": 8, "ablate": 4, "add": 4, "factorial": 3}
# How much a factor's effect differs from seed to seed, on the scale of EFFECTS (0.12 is 3.4 points).
BY_SEED = {
    "none": (0.0,) * 8,
    "one": (0.12, *(0.0,) * 7),
    "mixed": tuple(np.geomspace(0.01, 0.12, 8).tolist()),
}
_AT_ONCE = 4_000_000  # answers

Interval = tuple[float, float]
Judge = Callable[[np.ndarray, "Setting"], list[Difference]]


@dataclass(frozen=True)
class Setting:
    """together: what every two factors do beyond what each does alone, on the scale of EFFECTS. by_seed: a name in BY_SEED."""

    design: str
    seeds: int
    noise: str
    together: float = 0.0
    by_seed: str = "none"
    samples: int = 431
    effects: tuple[float, ...] = EFFECTS
    factors: int | None = None

    @property
    def count(self) -> int:
        return self.factors or FACTORS[self.design]

    @property
    def coded(self) -> np.ndarray:
        return design_matrix(self.design, self.count)

    @property
    def effect_P(self) -> np.ndarray:
        return np.array(self.effects[: self.count])

    @property
    def by_seed_P(self) -> np.ndarray:
        spread = BY_SEED[self.by_seed]
        return np.array(
            spread[: self.count] if self.by_seed != "mixed" else spread[:: len(spread) // self.count][: self.count]
        )

    def lifts(self) -> np.ndarray:
        """(R,) what the levels of each of the design's rows do to every sample, but for their tastes."""
        pairs = sum(
            self.coded[:, a] * self.coded[:, b] for a in range(self.coded.shape[1]) for b in range(a)
        ) * np.ones(len(self.coded))
        return self.coded @ self.effect_P / 2 + self.together / 2 * pairs

    def truth(self) -> np.ndarray:
        """The expected effects over fresh samples, seeds and runs."""
        wiggle = self.count * TASTE**2 / 4 + (self.by_seed_P**2).sum() / 4
        spread = np.sqrt(SPREAD**2 + ANSWER**2 + SEED**2 + NOISE[self.noise] ** 2 + wiggle)
        return self.effects_of(stats.norm.cdf((EASE + self.lifts()) / spread))

    def effects_of(self, accuracy_R: np.ndarray) -> np.ndarray:
        """(..., P) from the accuracies of the design's rows (..., R)."""
        coded = self.coded
        if self.design not in ONE_AT_A_TIME:
            return np.stack(
                [accuracy_R[..., x_R > 0].mean(axis=-1) - accuracy_R[..., x_R < 0].mean(axis=-1) for x_R in coded.T],
                axis=-1,
            )
        turned = [int(np.flatnonzero(coded[1:, p] != coded[0, p])[0]) + 1 for p in range(coded.shape[1])]
        return np.stack(
            [(accuracy_R[..., row] - accuracy_R[..., 0]) * coded[row, p] for p, row in enumerate(turned)], axis=-1
        )

    def outcomes(self, studies: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each study: (bool (seeds, R, samples), the effects of these very runs over fresh samples (P,))."""
        coded, luck, (S, R, P, N) = self.coded, NOISE[self.noise], (self.seeds, *self.coded.shape, self.samples)
        at_once = max(1, _AT_ONCE // (S * R * N))
        taste_share = np.sqrt(SPREAD**2 + ANSWER**2 + P * TASTE**2 / 4)

        def normal(what: str, *shape: int) -> np.ndarray:
            return Rng(11).batch(f"simulated {what}", 0, number_B).normal(shape)

        for first in range(0, studies, at_once):
            number_B = np.arange(first, min(first + at_once, studies))

            ease_BN = EASE + SPREAD * normal("ease", N)
            taste_BRN = np.einsum("rp,bpn->brn", coded / 2 * TASTE, normal("taste", P, N))
            by_seed_BSR = (normal("by seed", S, P) * self.by_seed_P) @ coded.T / 2
            run_BSR = self.lifts() + by_seed_BSR + SEED * normal("seed", S, 1) + luck * normal("run", S, R)
            drawn_BSRN = ANSWER * normal("answer", S, R, N)
            right_BSRN = ease_BN[:, None, None] + taste_BRN[:, None] + run_BSR[..., None] + drawn_BSRN > 0
            these_BP = self.effects_of(stats.norm.cdf((EASE + run_BSR) / taste_share)).mean(axis=1)
            yield from zip(right_BSRN, these_BP, strict=True)


def whet_differences(value_SRN: np.ndarray, setting: Setting) -> list[Difference]:
    """As `whet study` finds them."""
    S, R, N = value_SRN.shape
    value_RN, block = value_SRN.reshape(S * R, N).astype(float), np.repeat(np.arange(S), R)
    levels = np.tile(setting.coded, (S, 1))
    columns = levels if setting.design != "factorial" else np.column_stack([levels, interactions(levels)[1]])
    return fitted_effects(value_RN, columns, block)[: levels.shape[1]]


@dataclass(frozen=True)
class Outcome:
    """covered_P: of each factor, the share of 95 % intervals that hold the true effect (of fewer than three seeds that of these
    very runs); width: their mean. wrong: the share of studies with a verdict that is not true: of a factor without an effect that
    it helps or hurts, of one with an effect that it does the other, or that it is not worth having though it is. right: the share
    of factors with an effect whose verdict says which. assessed: the share of factors that have a verdict or are undecided.
    covered_error, wrong_error: standard errors of the mean coverage and of wrong."""

    covered_P: np.ndarray
    covered_error: float
    width: float
    wrong: float
    wrong_error: float
    right: float
    assessed: float


def simulated(setting: Setting, studies: int) -> Outcome:
    truth, held, widths, wrong, right, assessed = setting.truth(), [], [], [], [], []
    for value_SRN, these_P in setting.outcomes(studies):
        found = [replace(d, margin=MARGIN) for d in whet_differences(value_SRN, setting)]
        aim = truth if setting.seeds >= 3 else these_P
        held.append([d.low <= true <= d.high for d, true in zip(found, aim, strict=True)])
        widths.append([d.high - d.low for d in found])
        adjusted = holm([d.p for d in found]), holm([d.p_too_small for d in found])
        verdicts = [d.verdict_at(*p) for d, *p in zip(found, *adjusted, strict=True)]
        wrong.append(any(_is_wrong(verdict, true) for verdict, true in zip(verdicts, truth, strict=True)))
        right += [
            v == (HELPS if true > 0 else HURTS) for v, true in zip(verdicts, truth, strict=True) if abs(true) > 1e-9
        ]
        assessed += [d.assessed for d in found]
    return Outcome(
        np.mean(held, axis=0),
        float(stats.sem(np.mean(held, axis=1))),
        float(np.mean(widths)),
        float(np.mean(wrong)),
        float(stats.sem(np.array(wrong, dtype=float))),
        float(np.mean(right or [0.0])),
        float(np.mean(assessed)),
    )


def _is_wrong(verdict: str, true: float) -> bool:
    if verdict == TOO_SMALL:
        return abs(true) >= MARGIN
    return (verdict == HELPS and true < 1e-9) or (verdict == HURTS and true > -1e-9)


# --- what is told of single classes -----------------------------------------------------------------------------------
def classes_hurt(seeds: int, samples: int, classes: int, factors: int, studies: int, noise: str) -> dict[str, float]:
    """Of studies whose factors do nothing, the share in which some class is said to be hurt: by each interval alone, and as
    `whet study` tells it."""
    setting = Setting("screen", seeds, noise, samples=samples, effects=(0.0,) * 8, factors=factors)
    alone, told = [], []
    for value_SRN, _ in setting.outcomes(studies):
        found = [d for k in range(classes) for d in whet_differences(value_SRN[:, :, k::classes], setting)]
        alone.append(any(d.high < 0 for d in found))
        adjusted = benjamini_hochberg([d.p for d in found])
        told.append(any(d.mean < 0 and p < 0.05 for d, p in zip(found, adjusted, strict=True)))
    return {"by_interval": float(np.mean(alone)), "told": float(np.mean(told))}


# --- what is fitted on the samples that judge it ----------------------------------------------------------------------
def fitted_on_validation(samples: int, seeds: int, studies: int, classes: int = 5, folds: int = 5) -> dict[str, float]:
    """Shifting the logits of a model that needs no shift, one number a class, fitted on the validation samples: the share of
    studies that say it helps, where the fitted answers are scored as they are and where each is scored by a fit on other folds;
    and the mean gain in log-loss that each sees, beside the true one. Nothing can help, as the model is calibrated."""
    verdicts: dict[str, list[bool]] = {"in_sample": [], "cross_fitted": []}
    gains: dict[str, list[float]] = {"in_sample": [], "cross_fitted": [], "true": []}
    fold_N = np.arange(samples) % folds
    for number in range(studies):
        rng = Rng(number)
        logits_NK = 1.5 * rng.batch("logits", 0, np.arange(samples + 4000)).normal((classes,))
        uniform_NK = rng.batch("label", 0, np.arange(len(logits_NK))).uniform(shape=(classes,))
        label_N = (logits_NK - np.log(-np.log(uniform_NK))).argmax(axis=1)  # by the model's own probabilities
        seen = {"in_sample": [], "cross_fitted": []}
        for seed in range(seeds):
            noisy_NK = logits_NK + 0.1 * rng.batch(f"run {seed}", 0, np.arange(len(logits_NK))).normal((classes,))
            val, label = noisy_NK[:samples], label_N[:samples]
            plain_N = _loss_N(val, label)
            whole_K = _shift(val, label)
            crossed_N = np.empty(samples)
            for fold in range(folds):
                out = fold_N == fold
                crossed_N[out] = _loss_N(val[out] + _shift(val[~out], label[~out]), label[out])
            seen["in_sample"].append(_loss_N(val + whole_K, label) - plain_N)
            seen["cross_fitted"].append(crossed_N - plain_N)
            fresh, fresh_label = noisy_NK[samples:], label_N[samples:]
            gains["true"].append(float((_loss_N(fresh + whole_K, fresh_label) - _loss_N(fresh, fresh_label)).mean()))
        for way, difference_SN in seen.items():
            found = crossed_interval(np.stack(difference_SN))
            verdicts[way].append(found.p < 0.05 and found.mean < 0)
            gains[way].append(found.mean)
    return {f"{way}_helps": float(np.mean(found)) for way, found in verdicts.items()} | {
        f"{way}_difference": float(np.mean(found)) for way, found in gains.items()
    }


def _loss_N(logits_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    highest_N = logits_NK.max(axis=1)
    total_N = highest_N + np.log(np.exp(logits_NK - highest_N[:, None]).sum(axis=1))
    return total_N - logits_NK[np.arange(len(label_N)), label_N]


def _shift(logits_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """What to add to each class's logits for the least log-loss; Newton's method."""
    K = logits_NK.shape[1]
    shift_K = np.zeros(K)
    for _ in range(6):
        exp_NK = np.exp(logits_NK + shift_K - (logits_NK + shift_K).max(axis=1, keepdims=True))
        p_NK = exp_NK / exp_NK.sum(axis=1, keepdims=True)
        slope_K = p_NK.mean(axis=0) - np.bincount(label_N, minlength=K) / len(label_N)
        curve_KK = np.diag(p_NK.mean(axis=0)) - p_NK.T @ p_NK / len(label_N)
        shift_K = shift_K - np.linalg.lstsq(curve_KK, slope_K, rcond=None)[0]
    return shift_K


# --- wrong ways, which a test of coverage must tell from the right one -------------------------------------------------
def _pairs(value_SRN: np.ndarray, setting: Setting) -> list[tuple[np.ndarray, np.ndarray]]:
    """(without, with) answers (S, N) of each factor, in a design of one at a time."""
    coded = setting.coded
    found = []
    for p in range(coded.shape[1]):
        row = int(np.flatnonzero(coded[1:, p] != coded[0, p])[0]) + 1
        pair = value_SRN[:, 0].astype(float), value_SRN[:, row].astype(float)
        found.append(pair if coded[row, p] > 0 else pair[::-1])
    return found


def _t_interval(values: np.ndarray, error: float | None = None) -> Interval:
    mean, error = float(values.mean()), float(stats.sem(values)) if error is None else error
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean - half, mean + half


def seeds_alone(value_SRN: np.ndarray, setting: Setting) -> list[Interval]:
    return [_t_interval((b - a).mean(axis=1)) for a, b in _pairs(value_SRN, setting)]


def samples_alone(value_SRN: np.ndarray, setting: Setting) -> list[Interval]:
    return [_t_interval((b - a).mean(axis=0)) for a, b in _pairs(value_SRN, setting)]


def unpaired(value_SRN: np.ndarray, setting: Setting) -> list[Interval]:
    """As if every answer of both sides were one of its own."""
    found = []
    for a, b in _pairs(value_SRN, setting):
        error = float(np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size))
        found.append(_t_interval(b.ravel() - a.mean(), error))
    return found


def bootstrap(value_SRN: np.ndarray, setting: Setting, times: int = 200) -> list[Interval]:
    """Seeds and samples both drawn anew, percentiles."""
    found = []
    for p, (a, b) in enumerate(_pairs(value_SRN, setting)):
        S, N = a.shape
        rng = Rng(5).batch(f"bootstrap {p}", int(a.sum()), np.arange(times))
        seeds, samples = ((rng.uniform(shape=(n,)) * n).astype(int) for n in (S, N))
        difference = b - a
        means = [difference[np.ix_(s, n)].mean() for s, n in zip(seeds, samples)]
        found.append((float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))))
    return found


MUTANTS: dict[str, Callable[[np.ndarray, Setting], list[Interval]]] = {
    "seeds alone": seeds_alone,
    "samples alone": samples_alone,
    "unpaired": unpaired,
    "two-way bootstrap": bootstrap,
}


def coverage(
    setting: Setting, studies: int, intervals: Callable[[np.ndarray, Setting], list[Interval]]
) -> tuple[float, float]:
    """(share of 95 % intervals that hold the true effect, their mean width) over simulated studies and all their factors."""
    truth = setting.truth()
    held, widths = [], []
    for value_SRN, _ in setting.outcomes(studies):
        found = intervals(value_SRN, setting)
        held.append([low <= true <= high for (low, high), true in zip(found, truth, strict=True)])
        widths.append([high - low for low, high in found])
    return float(np.mean(held)), float(np.mean(widths))
