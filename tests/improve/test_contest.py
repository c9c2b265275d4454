"""How the time that is left is spent on runs."""

import json
import time

import pytest

from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.improve.contest import hold
from whet.train.log import Observer

SECONDS = 100.0  # a run, as it says itself


class Executor:
    """Runs that are over at once."""

    jobs = 1

    def __init__(self, failing=""):
        self.made, self.failing = [], failing

    def run(self, tasks):
        for task in tasks:
            task.path.mkdir(parents=True, exist_ok=True)
            metrics = {"val": {"accuracy": 0.5, "log_loss": 0.7}, "cost": {"total_seconds": SECONDS}}
            (task.path / "metrics.json").write_text(json.dumps(metrics))
            (task.path / "report.html").write_text("")
            if task.path.name == self.failing:
                task.failure.write_text(json.dumps({"reason": "on purpose"}))
            self.made.append((task.path.name, str(task.recipe.train.budget)))
            yield task


def held(path, executor, *, limit="1000s", spent=0.0, seeds=1, most=5):
    recipes = {"plain": Recipe(), "strong": Recipe()}
    path.mkdir(exist_ok=True)
    started = time.monotonic() - spent
    return hold(path, recipes, Duration.parse(limit), seeds, most, started, executor, Observer())


def test_time_that_runs_leave_goes_to_more_seeds(tmp_path):
    executor = Executor()
    contest = held(tmp_path, executor)
    names = [name for name, _ in executor.made]
    assert names == [f"{recipe}-s{seed}" for seed in range(5) for recipe in ("plain", "strong")]
    assert len({budget for _, budget in executor.made}) == 1  # all as long as the first
    assert [run.name for run in contest.runs["strong"]] == [f"strong-s{seed}" for seed in range(5)]


def test_no_more_seeds_than_asked_for_or_than_fit(tmp_path):
    assert len(held(tmp_path / "asked", Executor(), seeds=2, most=2).runs["plain"]) == 2
    assert len(held(tmp_path / "late", Executor(), spent=800.0).runs["plain"]) == 1
    assert len(held(tmp_path / "epochs", Executor(), limit="3ep").runs["plain"]) == 1


def test_a_job_that_goes_on_keeps_its_seeds(tmp_path):
    held(tmp_path, Executor(), most=3)
    assert len(held(tmp_path, Executor(), spent=990.0).runs["plain"]) == 3


def test_a_failed_run_is_told(tmp_path):
    with pytest.raises(RunError, match="strong-s0 failed: on purpose"):
        held(tmp_path, Executor(failing="strong-s0"))
