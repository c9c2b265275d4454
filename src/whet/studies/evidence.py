"""From finished runs to the result for each factor: effect, interval, verdict, cost, effects per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t

from whet.core.errors import RunError
from whet.core.evidence import Evidence
from whet.core.language import Sentence, english, english_n
from whet.core.run_folder import RunFolder
from whet.core.task import metric_named
from whet.evaluate.compare import about
from whet.evaluate.difference import (
    HELPS,
    HURTS,
    LEAST_SAMPLES,
    LEAST_SEEDS,
    LEVEL,
    NOT_ASSESSED,
    UNDECIDED,
    Difference,
    benjamini_hochberg,
    holm,
)
from whet.evaluate.evidence import joined, read_evidence
from whet.studies.effects import ToDecide, fitted_effects, interactions, to_decide
from whet.studies.factor import Factor

NEVER_RAN = english("could not run")
_BY_CLASS = 10  # minimum validation samples of a class for a result per class


@dataclass(frozen=True)
class Observed:
    """One finished run of a study and its predictions on one split."""

    run: RunFolder
    levels: tuple[int, ...]
    seed: int
    evidence: Evidence
    costs: dict[str, float]

    def parts_N(self, metric: str) -> np.ndarray:
        """Values per sample or group of samples, whose mean is the metric."""
        return self.evidence.task.metric(metric).parts(self.evidence)


def observe(run: RunFolder, levels: Sequence[int], seed: int, split: str = "val") -> Observed:
    return Observed(run, tuple(levels), seed, read_evidence(run, split), run.read_json(run.metrics)["cost"])


def on_common_samples(runs: Sequence[Observed]) -> tuple[list[Observed], int]:
    """The runs, each restricted to the samples predicted by all of them, and the number of excluded samples; see
    `evaluate.evidence.joined`."""
    found = joined([run.evidence for run in runs], [str(run.run.path) for run in runs])
    return [replace(run, evidence=one) for run, one in zip(runs, found.evidence, strict=True)], found.left_out


@dataclass(frozen=True)
class Price:
    """A cost ratio with its 95 % interval."""

    ratio: float
    low: float
    high: float

    def text(self) -> str:
        """For example +12 %; empty if the interval contains 1."""
        return "" if self.low <= 1 <= self.high else f"{100 * (self.ratio - 1):+.0f} %"


@dataclass(frozen=True)
class Effect:
    """The effect of a factor from low (off) to high (on). p_holm, p_too_small: corrected for the number of factors. costs: of
    training time, memory and inference time. per_class: the effect on the recall of each class; hurts_classes: the classes with a
    significant loss, corrected for all factors and classes. failed: the reason why all runs of a level failed."""

    name: str
    metric: str
    difference: Difference | None
    p_holm: float
    costs: dict[str, Price]
    per_class: dict[str, Difference]
    to_decide: ToDecide | None
    failed: str = ""
    p_too_small: float = 1.0
    hurts_classes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        if self.difference is None:
            return NEVER_RAN
        return self.difference.verdict_at(self.p_holm, self.p_too_small)

    def sentence(self) -> Sentence:
        """A summary in one sentence."""
        d = self.difference
        if d is None:
            return english("{name!t} could not run: {reason}.", name=self.name, reason=self.failed)
        values: dict[str, Any] = {"name": self.name, "reach": self._reach(d), "cost": self._cost()}
        if self.verdict == NOT_ASSESSED:
            return english_n(
                "{name!t}: one seed, not assessed; {reach!t} in these runs; use at least {least:d} seeds; {cost!t}.",
                "{name!t}: {n} seeds, not assessed; {reach!t} in these runs; use at least {least:d} seeds; {cost!t}.",
                d.seeds, **values, least=LEAST_SEEDS,
            )  # fmt: skip
        if self.verdict == UNDECIDED:
            values["chance"] = 100 * (d.chance_to_help or 0)
            if self.to_decide:
                return english(
                    "{name!t}: undecided, {reach!t}; it helps with a probability of {chance:.0f} %, {more!t}; {cost!t}.",
                    **values, more=self.to_decide.text(),
                )  # fmt: skip
            return english(
                "{name!t}: undecided, {reach!t}; it helps with a probability of {chance:.0f} %; {cost!t}.", **values
            )
        if self.verdict == HELPS:
            return english("{name!t} helps: {reach!t}; {cost!t}.", **values)
        if self.verdict == HURTS:
            return english("{name!t} hurts: {reach!t}; {cost!t}.", **values)
        return english("{name!t}: no difference worth having, {reach!t}; {cost!t}.", **values)

    def _reach(self, d: Difference) -> Sentence:
        """The effect with its interval."""
        metric = metric_named(self.metric)
        values = {
            "mean": metric.text(d.mean, "+"), "low": metric.text(d.low, "+"), "high": metric.text(d.high, "+"),
            "metric": metric.title,
        }  # fmt: skip
        if not metric.is_share:
            return english("{mean} of {metric!t} ({low} to {high})", **values)
        if metric.is_right:
            return english("{mean} points ({low} to {high})", **values)
        return english("{mean} points of {metric!t} ({low} to {high})", **values)

    def _cost(self) -> Sentence:
        """The change of the training time, and the classes that are hurt."""
        if not self.hurts_classes:
            return self._price()
        return english_n(
            "{time!t}; it hurts class {names}", "{time!t}; it hurts classes {names}", len(self.hurts_classes),
            time=self._price(), names=", ".join(self.hurts_classes),
        )  # fmt: skip

    def _price(self) -> Sentence:
        found = self.costs["train_seconds"]
        if not (text := found.text()):
            return english("no measurable change in time")
        if found.ratio > 1:
            return english("it costs {share} time", share=text[1:])
        return english("it saves {share} time", share=text[1:])

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
            "chance_to_help": d.chance_to_help if d else None,
            "time": self._ratio("train_seconds"),
            "memory": self._ratio("peak_memory_mib"),
            "inference_time": self._ratio("seconds_per_sample"),
            "seeds": d.seeds if d else 0,
            "seeds_to_decide": self.to_decide.seeds if self.to_decide else None,
            "samples_to_decide": self.to_decide.more_samples if self.to_decide else None,
        }


@dataclass(frozen=True)
class Findings:
    """The results so far. samples: the number of validation samples; left_out: the samples that were not predicted by every run.
    together: the two-factor interactions of a full factorial."""

    effects: list[Effect]
    together: list[dict[str, Any]]
    samples: int = 0
    left_out: int = 0

    def best_first(self) -> Iterator[Effect]:
        def gain(effect: Effect) -> float:
            d = effect.difference
            return float("-inf") if d is None else -d.mean if d.smaller_is_better else d.mean

        return iter(sorted(self.effects, key=gain, reverse=True))


def estimate_effects(
    design: str, factors: Sequence[Factor], runs: Sequence[Observed], metric: str, reason: str = ""
) -> Findings:
    """Estimate the effect of every factor. reason: why runs failed, for factors with a level that never ran. Raises RunError if the
    factors are not identifiable from the runs, or if the runs have no predicted sample in common."""
    if not runs:
        raise RunError(f"the study has no result: none of its runs finished{f' ({reason})' if reason else ''}")
    runs, left_out = on_common_samples(runs)
    if len(runs[0].evidence) < LEAST_SAMPLES:
        raise RunError(f"a study needs at least {LEAST_SAMPLES} validation samples; this one has one")
    coded_RF = np.array([run.levels for run in runs])
    block_R = np.array([run.seed for run in runs])
    known = [f for f in range(len(factors)) if len(np.unique(coded_RF[:, f])) == 2]
    pairs, products = interactions(coded_RF[:, known])
    with_pairs = design == "factorial" and bool(pairs)

    def estimate(value_RN: np.ndarray) -> list[Difference]:
        if not known:
            return []
        columns = np.column_stack([coded_RF[:, known], products]) if with_pairs else coded_RF[:, known]
        return fitted_effects(value_RN, columns, block_R)

    chosen, samples = metric_named(metric), len(runs[0].evidence)
    try:
        found = [about(chosen, d, samples) for d in estimate(np.stack([run.parts_N(metric) for run in runs]))]
    except ValueError as error:
        raise RunError(f"the study has no result: {error}") from None
    adjusted, too_small = holm([d.p for d in found]), holm([d.p_too_small for d in found])
    by_class = _by_class(runs, estimate)
    hurt = _hurt_classes(by_class, len(known))
    costs = price(coded_RF[:, known], runs)
    effects = []
    for f, factor in enumerate(factors):
        if f not in known:
            effects.append(Effect(factor.name, metric, None, 1.0, {}, {}, None, reason))
            continue
        k = known.index(f)
        undecided = found[k].verdict_at(adjusted[k], too_small[k]) == UNDECIDED
        effects.append(
            Effect(
                factor.name, metric, found[k], adjusted[k], costs[k], {name: d[k] for name, d in by_class.items()},
                to_decide(found[k], len(found)) if undecided else None, "", too_small[k], hurt[k],
            )
        )  # fmt: skip
    together = [
        {"factors": [factors[known[a]].name, factors[known[b]].name], **asdict(d), "p_holm": p}
        for (a, b), d, p in zip(pairs if with_pairs else [], found[len(known) :], adjusted[len(known) :], strict=True)
    ]
    return Findings(effects, together, samples, left_out)


def _by_class(
    runs: Sequence[Observed], estimate: Callable[[np.ndarray], list[Difference]]
) -> dict[str, list[Difference]]:
    """The effect of every factor on the recall of each class."""
    found = [run.evidence.task.found_by_class(run.evidence) for run in runs]
    return {
        name: estimate(np.stack([one[name] for one in found]).astype(float))
        for name in sorted(found[0])
        if len(found[0][name]) >= _BY_CLASS
    }


def _hurt_classes(by_class: dict[str, list[Difference]], factors: int) -> list[tuple[str, ...]]:
    """The classes that each factor hurts, with a false discovery rate of at most 5 % over all factors and classes."""
    adjusted = iter(benjamini_hochberg([d.p for found in by_class.values() for d in found[:factors]]))
    significant = {name: [(d, next(adjusted)) for d in found[:factors]] for name, found in by_class.items()}
    return [
        tuple(name for name, found in significant.items() if found[k][0].assessed and found[k][0].mean < 0 and found[k][1] < LEVEL)
        for k in range(factors)
    ]  # fmt: skip


_PRICES = ("train_seconds", "peak_memory_mib", "seconds_per_sample")


def price(coded_RF: np.ndarray, runs: Sequence[Observed]) -> list[dict[str, Price]]:
    """The cost ratio of each factor, high to low, all else equal: least squares on the logarithm, with the 95 % interval of the t
    distribution (as wide as the ratio itself if there are no residual degrees of freedom)."""
    costs_RC = np.array([[run.costs[key] for key in _PRICES] for run in runs])
    design = np.column_stack([np.ones(len(runs)), coded_RF])
    log_RC = np.log(np.maximum(costs_RC, 1e-9))
    solved = np.linalg.pinv(design) @ log_RC
    freedom = len(runs) - int(np.linalg.matrix_rank(design))
    variance_C = ((log_RC - design @ solved) ** 2).sum(axis=0) / max(freedom, 1)
    spread_F = np.diag(np.linalg.pinv(design.T @ design))[1:]
    half_FC = 2 * np.sqrt(spread_F[:, None] * variance_C[None, :]) * (t.ppf(0.975, freedom) if freedom else np.inf)
    ratio = np.exp(np.stack([2 * solved[1:], 2 * solved[1:] - half_FC, 2 * solved[1:] + half_FC], axis=-1))
    return [dict(zip(_PRICES, (Price(*map(float, one)) for one in row), strict=True)) for row in ratio]


def seconds_of(levels: Sequence[int], runs: Sequence[Observed]) -> tuple[float, float]:
    """(seconds outside training, seconds per epoch) of a run at these levels, by least squares over finished runs."""
    coded_RF = np.array([run.levels for run in runs])
    epochs_R = np.array([run.costs["epochs"] for run in runs])
    train_R, total_R = (np.array([run.costs[key] for run in runs]) for key in ("train_seconds", "total_seconds"))
    design = np.column_stack([np.ones(len(runs)), coded_RF])
    pace = np.exp(np.linalg.lstsq(design, np.log(train_R / epochs_R), rcond=None)[0] @ np.array([1, *levels]))
    return float(np.median(total_R - train_R)), float(pace)
