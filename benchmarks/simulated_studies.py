"""Studies whose effects are known: right or wrong answers of made-up runs, judged by whet as those of real ones are.

A sample is answered rightly where its ease, what the factors do to it, the luck of the seed, the luck of the run and the luck of
the answer add up to more than zero (a normal threshold model), so that the effects over all samples, seeds and runs are known in
closed form. The luck of a run is what makes one training end differently from the next: small and large are what the digits and
TrashNet show, 0.4 and 3 points of accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from whet.core.rng import Rng
from whet.study.design import ONE_AT_A_TIME, design_matrix
from whet.study.effects import fitted_effects, interactions, paired_effect

SAMPLES = 431
EASE, SPREAD, ANSWER, TASTE, SEED = 1.0, 1.0, 0.5, 0.3, 0.1
NOISE = {"small": 0.02, "large": 0.12}  # of a run; an accuracy of 80 % moves by 28 points for 1
EFFECTS = (0.25, -0.15, 0.0, 0.1, 0.0, 0.3, -0.05, 0.0)
FACTORS = {"screen": 8, "ablate": 4, "add": 4, "factorial": 3}

Interval = tuple[float, float]


@dataclass(frozen=True)
class Setting:
    """together: what every two factors do beyond what each does alone, on the scale of EFFECTS. by_seed: how much a factor's effect
    differs from seed to seed, in units of the run's luck."""

    design: str
    seeds: int
    noise: str
    together: float = 0.0
    by_seed: float = 0.0
    effects: tuple[float, ...] = EFFECTS

    @property
    def coded(self) -> np.ndarray:
        return design_matrix(self.design, FACTORS[self.design])

    @property
    def effect_P(self) -> np.ndarray:
        return np.array(self.effects[: FACTORS[self.design]])

    def lifts(self) -> np.ndarray:
        """(R,) what the levels of each of the design's rows do to every sample, but for their tastes."""
        pairs = sum(
            self.coded[:, a] * self.coded[:, b] for a in range(self.coded.shape[1]) for b in range(a)
        ) * np.ones(len(self.coded))
        return self.coded @ self.effect_P / 2 + self.together / 2 * pairs

    def truth(self) -> np.ndarray:
        """The expected effects over fresh samples, seeds and runs."""
        luck = NOISE[self.noise]
        wiggle = len(self.effect_P) * (TASTE**2 + (self.by_seed * luck) ** 2) / 4
        spread = np.sqrt(SPREAD**2 + ANSWER**2 + SEED**2 + luck**2 + wiggle)
        accuracy_R = stats.norm.cdf((EASE + self.lifts()) / spread)
        coded = self.coded
        if self.design not in ONE_AT_A_TIME:
            return np.array([accuracy_R[x_R > 0].mean() - accuracy_R[x_R < 0].mean() for x_R in coded.T])
        turned = [int(np.flatnonzero(coded[1:, p] != coded[0, p])[0]) + 1 for p in range(coded.shape[1])]
        return np.array([(accuracy_R[row] - accuracy_R[0]) * coded[row, p] for p, row in enumerate(turned)])

    def outcomes(self, number: int) -> np.ndarray:
        """bool (seeds, R, samples) of simulated study `number`."""
        coded, luck, (S, R, P) = self.coded, NOISE[self.noise], (self.seeds, *self.coded.shape)

        def normal(what: str, *shape: int) -> np.ndarray:
            return Rng(11).batch(f"simulated {what}", number, np.arange(1)).normal(shape)[0]

        ease_N = EASE + SPREAD * normal("ease", SAMPLES)
        taste_RN = coded @ (TASTE * normal("taste", P, SAMPLES)) / 2
        by_seed_SR = normal("by seed", S, P) @ coded.T * self.by_seed * luck / 2
        run_SR = self.lifts() + by_seed_SR + SEED * normal("seed", S)[:, None] + luck * normal("run", S, R)
        return ease_N + taste_RN + run_SR[:, :, None] + ANSWER * normal("answer", S, R, SAMPLES) > 0


def whet_intervals(value_SRN: np.ndarray, setting: Setting) -> list[Interval]:
    """As `whet study` finds them."""
    S, R, N = value_SRN.shape
    value_RN, block = value_SRN.reshape(S * R, N).astype(float), np.repeat(np.arange(S), R)
    levels = np.tile(setting.coded, (S, 1))
    if setting.design in ONE_AT_A_TIME:
        differs = levels != ONE_AT_A_TIME[setting.design]
        found = [
            paired_effect(value_RN, levels[:, p], differs.sum(axis=1) == differs[:, p], block)
            for p in range(levels.shape[1])
        ]
    else:
        columns = levels if setting.design == "screen" else np.column_stack([levels, interactions(levels)[1]])
        found = fitted_effects(value_RN, columns, block)[: levels.shape[1]]
    return [(d.low, d.high) for d in found]


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
    setting: Setting, studies: int, intervals: Callable[[np.ndarray, Setting], list[Interval]] = whet_intervals
) -> tuple[float, float]:
    """(share of 95 % intervals that hold the true effect, their mean width) over simulated studies and all their factors."""
    truth = setting.truth()
    held, widths = [], []
    for number in range(studies):
        found = intervals(setting.outcomes(number), setting)
        held.append([low <= true <= high for (low, high), true in zip(found, truth)])
        widths.append([high - low for low, high in found])
    return float(np.mean(held)), float(np.mean(widths))
