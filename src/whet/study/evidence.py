"""From finished runs to what is told of each factor: effect, interval, verdict, price, classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from whet.core.errors import RunError
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import METRICS, Difference, Metric
from whet.evaluate.said import said_by
from whet.study.design import ONE_AT_A_TIME
from whet.study.effects import fitted_effects, holm, interactions, paired_effect, seeds_to_tell
from whet.study.factor import Factor

LEVEL = 0.05
NEVER_RAN = "could not run"
_BY_CLASS = 10  # validation samples of a class, to say anything of it


@dataclass(frozen=True)
class Observed:
    """One finished run of a study. parts_N: values whose mean is the metric, one a validation sample (or a group of them);
    found: by class, was each sample that has it recognised. samples: how many."""

    run: RunFolder
    levels: tuple[int, ...]
    seed: int
    parts_N: np.ndarray
    found: dict[str, np.ndarray]
    samples: int
    costs: dict[str, float]


def observe(run: RunFolder, levels: Sequence[int], seed: int, metric: Metric, split: str = "val") -> Observed:
    """What this run answered to the samples of a part, in the order of their ids."""
    said = said_by(run, split)
    return Observed(
        run, tuple(levels), seed, metric.parts(metric.answers_of(said), said.truth).astype(float), said.found_by_class,
        len(said.samples), run.read_json(run.metrics)["cost"],
    )  # fmt: skip


@dataclass(frozen=True)
class Price:
    """How many times as much something takes, with its 95 % interval."""

    ratio: float
    low: float
    high: float

    def text(self) -> str:
        """+12 %; nothing where chance alone would do as much."""
        return "" if self.low <= 1 <= self.high else f"{100 * (self.ratio - 1):+.0f} %"


@dataclass(frozen=True)
class Effect:
    """What a factor does, from low (off) to high (on). costs: of training time, memory and the time of an answer.
    failed: why nothing can be said of it, where all its runs failed."""

    name: str
    metric: str
    difference: Difference | None
    p_holm: float
    costs: dict[str, Price]
    per_class: dict[str, Difference]
    seeds_to_tell: int | None
    failed: str = ""

    @property
    def verdict(self) -> str:
        if self.difference is None:
            return NEVER_RAN
        return self.difference.verdict if self.p_holm < LEVEL else "no evidence"

    def sentence(self) -> str:
        """For people who know no statistics."""
        d, metric = self.difference, METRICS[self.metric]
        if d is None:
            return f"{self.name} {NEVER_RAN}: {self.failed}."
        unit = " points" if metric.is_share else ""
        of = "" if self.metric == "accuracy" else f" of {metric.title}"
        reach = f"{metric.text(d.mean, '+')}{unit}{of} ({metric.text(d.low, '+')} to {metric.text(d.high, '+')})"
        bad = [name for name, one in self.per_class.items() if one.high < 0]
        those = "class" if len(bad) == 1 else "classes"
        harm = f"; it hurts {those} {', '.join(bad)}" if bad and self.verdict != "hurts" else ""
        if self.verdict == "no evidence":
            more = f", about {self.seeds_to_tell} seeds would tell" if self.seeds_to_tell else ""
            return f"{self.name}: no evidence, {reach}{more}; {self._price()}{harm}."
        return f"{self.name} {self.verdict}: {reach}; {self._price()}{harm}."

    def _price(self) -> str:
        found = self.costs["train_seconds"]
        if not (text := found.text()):
            return "what it costs in time is lost in the noise"
        return f"it {'costs' if found.ratio > 1 else 'saves'} {text[1:]} time"

    def _ratio(self, cost: str) -> float | None:
        return self.costs[cost].ratio if cost in self.costs else None

    def row(self) -> dict[str, Any]:
        d = self.difference
        return {
            "factor": self.name,
            "effect": d.mean if d else None,
            "low": d.low if d else None,
            "high": d.high if d else None,
            "p": d.p if d else None,
            "p_holm": self.p_holm if d else None,
            "verdict": self.verdict,
            "time": self._ratio("train_seconds"),
            "memory": self._ratio("peak_memory_mib"),
            "answer_time": self._ratio("seconds_per_sample"),
            "seeds": d.seeds if d else 0,
            "seeds_to_tell": self.seeds_to_tell,
        }


@dataclass(frozen=True)
class Evidence:
    """What the runs say so far. together: of a full factorial, what every two factors do beyond what each does alone."""

    effects: list[Effect]
    together: list[dict[str, Any]]

    def best_first(self) -> Iterator[Effect]:
        def gain(effect: Effect) -> float:
            d = effect.difference
            return float("-inf") if d is None else -d.mean if d.smaller_is_better else d.mean

        return iter(sorted(self.effects, key=gain, reverse=True))


def judge(design: str, factors: Sequence[Factor], runs: Sequence[Observed], metric: str, reason: str = "") -> Evidence:
    """Every factor's effect. reason: of what runs failed, for factors with a level that never
    ran. RunError where the runs leave nothing to tell chance by."""
    if not runs:
        raise RunError("the study cannot be judged: none of its runs was finished")
    coded_RF = np.array([run.levels for run in runs])
    block_R = np.array([run.seed for run in runs])
    known = [f for f in range(len(factors)) if len(np.unique(coded_RF[:, f])) == 2]
    pairs, products = interactions(coded_RF[:, known])
    with_pairs = design == "factorial" and bool(pairs)
    alone = ONE_AT_A_TIME.get(design)

    def estimate(value_RN: np.ndarray) -> list[Difference]:
        if alone is not None:
            differs_RF = coded_RF != alone
            return [
                paired_effect(value_RN, coded_RF[:, f], differs_RF.sum(axis=1) == differs_RF[:, f], block_R)
                for f in known
            ]
        columns = np.column_stack([coded_RF[:, known], products]) if with_pairs else coded_RF[:, known]
        return fitted_effects(value_RN, columns, block_R)

    chosen = METRICS[metric]
    try:
        found = [chosen.told(d, runs[0].samples) for d in estimate(np.stack([run.parts_N for run in runs]))]
    except ValueError as error:
        raise RunError(f"the study cannot be judged: {error}") from None
    by_class = {
        name: estimate(np.stack([run.found[name] for run in runs]).astype(float))
        for name in sorted(runs[0].found)
        if len(runs[0].found[name]) >= _BY_CLASS
    }
    adjusted = holm([d.p for d in found])
    costs = price(coded_RF[:, known], runs)
    effects = []
    for f, factor in enumerate(factors):
        if f not in known:
            effects.append(Effect(factor.name, metric, None, 1.0, {}, {}, None, reason))
            continue
        k = known.index(f)
        classes = {name: d[k] for name, d in by_class.items()}
        effects.append(Effect(factor.name, metric, found[k], adjusted[k], costs[k], classes, seeds_to_tell(found[k])))
    together = [
        {"factors": [factors[known[a]].name, factors[known[b]].name], **asdict(d), "p_holm": p}
        for (a, b), d, p in zip(pairs if with_pairs else [], found[len(known) :], adjusted[len(known) :])
    ]
    return Evidence(effects, together)


_PRICES = ("train_seconds", "peak_memory_mib", "seconds_per_sample")


def price(coded_RF: np.ndarray, runs: Sequence[Observed]) -> list[dict[str, Price]]:
    """By factor, how many times as much it takes with the factor high, all else alike: least squares on the logarithm, with the
    95 % interval of its t distribution (as wide as the ratio itself where no run is left to tell chance by)."""
    costs_RC = np.array([[run.costs[key] for key in _PRICES] for run in runs])
    design = np.column_stack([np.ones(len(runs)), coded_RF])
    log_RC = np.log(np.maximum(costs_RC, 1e-9))
    solved = np.linalg.pinv(design) @ log_RC
    freedom = len(runs) - int(np.linalg.matrix_rank(design))
    variance_C = ((log_RC - design @ solved) ** 2).sum(axis=0) / max(freedom, 1)
    spread_F = np.diag(np.linalg.pinv(design.T @ design))[1:]
    half_FC = 2 * np.sqrt(spread_F[:, None] * variance_C[None, :]) * (t.ppf(0.975, freedom) if freedom else np.inf)
    ratio = np.exp(np.stack([2 * solved[1:], 2 * solved[1:] - half_FC, 2 * solved[1:] + half_FC], axis=-1))
    return [dict(zip(_PRICES, (Price(*map(float, one)) for one in row))) for row in ratio]


def seconds_of(levels: Sequence[int], runs: Sequence[Observed]) -> tuple[float, float]:
    """(seconds beside training, seconds of an epoch) of a run at these levels, as least squares over finished runs tell."""
    coded_RF = np.array([run.levels for run in runs])
    epochs_R = np.array([run.costs["epochs"] for run in runs])
    train_R, total_R = (np.array([run.costs[key] for run in runs]) for key in ("train_seconds", "total_seconds"))
    design = np.column_stack([np.ones(len(runs)), coded_RF])
    pace = np.exp(np.linalg.lstsq(design, np.log(train_R / epochs_R), rcond=None)[0] @ np.array([1, *levels]))
    return float(np.median(total_R - train_R)), float(pace)
