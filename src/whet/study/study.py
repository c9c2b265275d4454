"""A study from the data to its report: which runs, what they say, what to do about it, and whether that holds."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.duration import Duration
from whet.core.errors import RecipeError, RunError, unknown
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, next_name, write_csv, write_json, write_whole
from whet.evaluate.compare import Difference, crossed_interval
from whet.report import build_study
from whet.study.design import DESIGNS, design_matrix
from whet.study.effects import fitted_effects, holm, interactions, paired_effects, seeds_to_tell
from whet.study.executor import Executor, InProcess, ProcessPool, Task
from whet.study.factor import Factor, check_factors, own_methods, parse_factor, recipe_at
from whet.train.job import carry_out
from whet.train.log import Observer

_SEEDS = {"screen": 2, "factorial": 2, "ablate": 3, "add": 3}  # where neither time nor seeds are given
_CONFIRM_SHARE, _CONFIRM_SEEDS, _FRESH = 0.25, 3, 1000
_FILLED = 0.97
_LEVEL = 0.05


@dataclass(frozen=True)
class Study:
    """What came of it. `effects`: a row a factor; `confirmed`: recommended minus base on the test samples, fresh seeds, or None
    where the study recommends the base."""

    path: Path
    effects: pd.DataFrame
    recommended: Recipe
    confirmed: Difference | None
    report: Path


@dataclass(frozen=True)
class Effect:
    """What a factor does, from low (off) to high (on), in shares of right answers."""

    name: str
    difference: Difference
    p_holm: float
    cost: float
    per_class: dict[str, Difference]
    seeds_to_tell: int | None

    @property
    def verdict(self) -> str:
        return self.difference.verdict if self.p_holm < _LEVEL else "no evidence"

    def sentence(self) -> str:
        """For people who know no statistics."""
        d, price = self.difference, f"it costs {100 * (self.cost - 1):+.0f} % time"
        reach = f"{100 * d.mean:+.1f} points ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
        bad = [name for name, one in self.per_class.items() if one.high < 0]
        harm = f"; it hurts {', '.join(bad)}" if bad and self.verdict != "hurts" else ""
        if self.verdict == "no evidence":
            more = f", about {self.seeds_to_tell} seeds would tell" if self.seeds_to_tell else ""
            return f"{self.name}: no evidence, {reach}{more}; {price}{harm}."
        return f"{self.name} {self.verdict}: {reach}; {price}{harm}."


def study(
    base: Recipe,
    factors: Sequence[Any] = (),
    *,
    design: str = "screen",
    budget: str | Duration | None = None,
    seeds: int | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Study:
    """Measure what each factor does to a recipe's right answers, on validation samples; confirm what that recommends on the test
    samples with fresh seeds.

    factors: methods (names or Method objects) and settings at two levels ("mixup.alpha=0.2:0.8"); without any, every method of the
    recipe that it can be without. budget: a time for everything, or epochs or steps of each run. seeds: how often the whole design
    is run; by default as often as fits the time. A study that was stopped goes on when it is called again with the same `out`.
    """
    started, watch = time.monotonic(), observer or Observer()
    if design not in DESIGNS:
        raise RecipeError(unknown("design", design, DESIGNS))
    chosen = [parse_factor(one) for one in factors] or own_methods(base)
    check_factors(base, chosen)
    try:
        coded_RF = design_matrix(design, len(chosen))
    except ValueError as error:
        raise RecipeError(f"design '{design}': {error}") from None
    name = Path(base.data.path or "run").resolve().stem
    path = Path(out) if out is not None else next_name(Path("runs"), f"{name}-study")
    path.mkdir(parents=True, exist_ok=True)
    if jobs > 1:
        base = base.setting(torch_threads=max(1, (os.cpu_count() or 1) // jobs))
    executor: Executor = ProcessPool(jobs) if jobs > 1 else InProcess(watch)
    clock = _Clock(path, Duration.parse(budget) if budget is not None else None, started)
    base = base.setting(budget=clock.each_run(base, len(coded_RF) / jobs, watch))

    # The design, once with every seed.
    wanted = seeds or (None if clock.limit else _SEEDS[design])
    blocks: list[list[RunFolder]] = []
    for seed in itertools.count():
        begun = clock.spent()
        watch.stage(f"seed {seed}: {len(coded_RF)} runs of the {design}")
        blocks.append(_block(path, executor, base.setting(seed=seed), chosen, coded_RF))
        if len(blocks) == wanted or (wanted is None and not clock.another(clock.spent() - begun)):
            break
    if design in ("ablate", "add") and len(blocks) == 1:
        watch.note("one seed: intervals say nothing of other seeds")

    # What they say, and what to do about it.
    effects, pairs = _effects(design, chosen, coded_RF, blocks)
    recommended = recipe_at(base, chosen, [_level(base, f, e) for f, e in zip(chosen, effects)])
    confirmed = _confirm(path, executor, base, recommended, clock, watch)
    write_whole(path / "recommended.yaml", recommended.to_yaml())
    _write(path, design, chosen, coded_RF, blocks, effects, pairs, confirmed, clock)
    watch.end()
    return Study(path, _frame(effects), recommended, confirmed, build_study(path))


class _Clock:
    """The time of a study: how much there is, how long each run may be, and whether there is enough for more. What was decided is
    kept, so that a study that goes on later decides the same."""

    def __init__(self, path: Path, budget: Duration | None, started: float) -> None:
        self._file, self._started, self.budget = path / "clock.json", started, budget
        kept = json.loads(self._file.read_text()) if self._file.is_file() else {}
        self._before, self._each = float(kept.get("spent", 0.0)), kept.get("each")
        self.limit = budget.seconds if budget is not None and budget.is_time else None

    def spent(self) -> float:
        """Seconds, those of earlier calls included."""
        found = self._before + time.monotonic() - self._started
        write_json(self._file, {"spent": found, "each": self._each})
        return found

    def each_run(self, base: Recipe, runs: float, observer: Observer) -> Duration:
        """The length of every run, in epochs: so that two seeds of the design and the confirmation fit the time, as one run tells."""
        if self.limit is None:
            return self.budget if self.budget is not None else base.train.budget
        if self._each is None:
            observer.stage("one run, to see how long they may be")
            share = self.limit * (1 - _CONFIRM_SHARE) / (2 * runs + 1)
            probe = carry_out(
                base.setting(budget=Duration(max(1, round(share)), "s")), self._file.parent / "probe", observer
            )
            self._each = f"{Recipe.load(probe.recipe).train.epochs}ep"
            self.spent()
        return Duration.parse(self._each)

    def another(self, seconds: float) -> bool:
        """Whether so many seconds fit once more before the confirmation."""
        return self.limit is not None and self.spent() + seconds <= self.limit * (1 - _CONFIRM_SHARE)

    def fits(self, seconds: float) -> bool:
        return self.limit is None or self.spent() + seconds <= self.limit * _FILLED


def _block(
    path: Path, executor: Executor, base: Recipe, factors: Sequence[Factor], coded_RF: np.ndarray
) -> list[RunFolder]:
    """The design's runs with one seed, in its order; equal recipes are trained once."""
    recipes = [recipe_at(base, factors, levels) for levels in coded_RF.tolist()]
    tasks = {_place(path, recipe): Task(recipe, _place(path, recipe)) for recipe in recipes}
    for _ in executor.run(list(tasks.values())):
        pass
    return [RunFolder(_place(path, recipe)) for recipe in recipes]


def _place(path: Path, recipe: Recipe) -> Path:
    return path / "runs" / f"{recipe.hash}-s{recipe.train.seed}"


def _effects(
    design: str, factors: Sequence[Factor], coded_RF: np.ndarray, blocks: list[list[RunFolder]]
) -> tuple[list[Effect], list[dict[str, Any]]]:
    """What every factor does; and, of a full factorial, every two together beyond that."""
    right = [[_right(run, "val") for run in block] for block in blocks]
    value_SRN = np.stack([np.stack([right_N for right_N, _ in block]) for block in right]).astype(float)
    label_N = right[0][0][1]
    S, R, _ = value_SRN.shape
    coded, block = np.tile(coded_RF, (S, 1)), np.repeat(np.arange(S), R)
    pairs, products = interactions(coded)
    full = design == "factorial" and len(factors) > 1

    def estimate(value_SRN: np.ndarray) -> list[Difference]:
        if design in ("ablate", "add"):
            return paired_effects(value_SRN, coded_RF)
        columns = np.column_stack([coded, products]) if full else coded
        return fitted_effects(value_SRN.reshape(S * R, -1), columns, block)

    try:
        found = estimate(value_SRN)
    except ValueError as error:
        raise RunError(f"the study cannot be judged: {error}") from None
    by_class = {str(k): estimate(value_SRN[:, :, label_N == k]) for k in np.unique(label_N) if (label_N == k).sum() > 1}
    costs = _costs(coded_RF, blocks)
    adjusted = holm([d.p for d in found])
    effects = [
        Effect(
            factor.name,
            found[f],
            adjusted[f],
            costs[f],
            {name: d[f] for name, d in by_class.items()},
            seeds_to_tell(found[f]),
        )
        for f, factor in enumerate(factors)
    ]
    together = [
        {
            "factors": [factors[a].name, factors[b].name],
            **asdict(found[len(factors) + q]),
            "p_holm": adjusted[len(factors) + q],
        }
        for q, (a, b) in enumerate(pairs if full else [])
    ]
    return effects, together


def _right(run: RunFolder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(was each sample answered rightly, its label), by id."""
    frame = run.read_predictions()
    frame = frame[frame["split"] == split].sort_values("id")
    return (frame["label"] == frame["predicted"]).to_numpy(bool), frame["label"].to_numpy()


def _costs(coded_RF: np.ndarray, blocks: list[list[RunFolder]]) -> list[float]:
    """How many times as long training takes with each factor high, all else alike: least squares on the logarithm."""
    seconds_SR = np.array([[run.read_json(run.metrics)["cost"]["train_seconds"] for run in block] for block in blocks])
    log_R = np.log(seconds_SR).mean(axis=0)
    solved = np.linalg.lstsq(np.column_stack([np.ones(len(coded_RF)), coded_RF]), log_R, rcond=None)[0]
    return np.exp(2 * solved[1:]).tolist()


def _level(base: Recipe, factor: Factor, effect: Effect) -> int:
    """High where it helps, low where it hurts, else as the recipe has it."""
    if effect.verdict != "no evidence":
        return 1 if effect.verdict == "helps" else -1
    return 1 if factor.at(base, True) == base else -1


def _confirm(
    path: Path, executor: Executor, base: Recipe, recommended: Recipe, clock: _Clock, observer: Observer
) -> Difference | None:
    """The recommended recipe against the one the study began with, seeds that the study has not seen, on the test samples."""
    if recommended.hash == base.hash:
        return None
    differences = []
    for seed in range(_FRESH, _FRESH + _CONFIRM_SEEDS):
        begun = clock.spent()
        observer.stage(f"confirming, seed {seed}")
        pair = [recipe.setting(seed=seed) for recipe in (base, recommended)]
        for _ in executor.run([Task(recipe, _place(path, recipe)) for recipe in pair]):
            pass
        before, after = (_right(RunFolder(_place(path, recipe)), _last_part(path, recipe))[0] for recipe in pair)
        differences.append(after.astype(float) - before.astype(float))
        if not clock.fits(clock.spent() - begun):
            break
    return crossed_interval(np.stack(differences))


def _last_part(path: Path, recipe: Recipe) -> str:
    run = RunFolder(_place(path, recipe))
    return "test" if "test" in run.read_json(run.metrics) else "val"


def _frame(effects: Sequence[Effect]) -> pd.DataFrame:
    return pd.DataFrame(list(_rows(effects)))


def _rows(effects: Sequence[Effect]) -> Iterator[dict[str, Any]]:
    for e in sorted(effects, key=lambda e: -e.difference.mean):
        d = e.difference
        yield {
            "factor": e.name, "effect": d.mean, "low": d.low, "high": d.high, "p": d.p, "p_holm": e.p_holm, "cost": e.cost,
            "verdict": e.verdict, "seeds": d.seeds, "seeds_to_tell": e.seeds_to_tell,
        }  # fmt: skip


def _write(
    path: Path, design: str, factors: Sequence[Factor], coded_RF: np.ndarray, blocks: list[list[RunFolder]],
    effects: Sequence[Effect], pairs: list[dict[str, Any]], confirmed: Difference | None, clock: _Clock,
) -> None:  # fmt: skip
    rows = [
        [run.path.name, seed, *levels]
        for seed, block in enumerate(blocks)
        for run, levels in zip(block, coded_RF.tolist())
    ]
    write_csv(path / "design.csv", ["run", "seed", *(factor.name for factor in factors)], rows)
    table = list(_rows(effects))
    write_csv(path / "effects.csv", list(table[0]), [list(row.values()) for row in table])
    story = {
        "name": path.resolve().name,
        "design": design,
        "runs": len({run.path for block in blocks for run in block}),
        "seeds": len(blocks),
        "samples": effects[0].difference.samples,
        "budget": str(clock.budget) if clock.budget is not None else None,
        "each": blocks[0][0] and str(Recipe.load(blocks[0][0].asked).train.budget),
        "seconds": clock.spent(),
        "effects": [
            row | {"sentence": e.sentence(), "per_class": {k: asdict(d) for k, d in e.per_class.items()}}
            for row, e in zip(table, sorted(effects, key=lambda e: -e.difference.mean))
        ],
        "interactions": pairs,
        "confirmed": asdict(confirmed) | {"verdict": confirmed.verdict} if confirmed is not None else None,
    }
    write_json(path / "study.json", story)
