"""How the time that is left is spent on runs, and how the winner is chosen."""

import json
import time

import numpy as np
import pytest
from tests.made_evidence import evidence

from whet.core.duration import Duration
from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.evaluate.evidence import write_evidence
from whet.improvement.comparison import RecipeComparison, train_all
from whet.training.log import Observer

SECONDS = 100.0  # a run, as it says itself


class Executor:
    """Runs that are over at once."""

    jobs = 1

    def __init__(self, failing="", seconds=SECONDS):
        self.made, self.failing, self.seconds = [], failing, seconds

    def run(self, tasks):
        for task in tasks:
            task.path.mkdir(parents=True, exist_ok=True)
            metrics = {
                "val": {"accuracy": 0.5, "log_loss": 0.7},
                "task": "single-label",
                "cost": {"total_seconds": self.seconds},
            }
            (task.path / "metrics.json").write_text(json.dumps(metrics))
            (task.path / "report.html").write_text("")
            if task.path.name == self.failing:
                task.failure.write_text(json.dumps({"reason": "on purpose"}))
            self.made.append((task.path.name, str(task.recipe.train.budget)))
            yield task


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch):
    """But what a test says was spent, and what the runs say they took."""
    monkeypatch.setattr(time, "monotonic", lambda: 1e6)


def held(path, executor, *, limit="1000s", spent=0.0, seeds=1, most=5, names=("plain", "strong"), once=()):
    path.mkdir(exist_ok=True)
    started = time.monotonic() - spent
    recipes = {name: Recipe() for name in names}
    return train_all(
        path, recipes, Duration.parse(limit), seeds, most, started, executor, Observer(), metric="accuracy", once=once
    )


def test_time_that_runs_leave_goes_to_more_seeds(tmp_path):
    executor = Executor()
    comparison = held(tmp_path, executor)
    names = [name for name, _ in executor.made]
    assert names == [f"{recipe}-s{seed}" for seed in range(5) for recipe in ("plain", "strong")]
    assert len({budget for _, budget in executor.made}) == 1  # all as long as the first
    assert [run.name for run in comparison.runs["strong"]] == [f"strong-s{seed}" for seed in range(5)]


def test_no_more_seeds_than_asked_for_or_than_fit(tmp_path):
    assert len(held(tmp_path / "asked", Executor(), seeds=2, most=2).runs["plain"]) == 2
    assert len(held(tmp_path / "late", Executor(), spent=800.0).runs["plain"]) == 1
    assert len(held(tmp_path / "epochs", Executor(), limit="3ep").runs["plain"]) == 1


def test_fewer_seeds_than_planned_where_the_machine_became_slow(tmp_path):
    """The clock is read before each seed: runs that take four times what they should leave no time for the third."""
    slow = Executor(seconds=660.0)  # of 1000 in all, planned for six runs
    assert len(held(tmp_path, slow, seeds=3).runs["plain"]) == 1


def test_what_takes_one_pass_comes_first_with_one_seed_and_its_own_length(tmp_path):
    executor = Executor()
    comparison = held(tmp_path, executor, seeds=2, most=2, names=("plain", "strong", "frozen"), once={"frozen"})
    assert [name for name, _ in executor.made] == ["frozen-s0", "plain-s0", "strong-s0", "plain-s1", "strong-s1"]
    assert executor.made[0][1] == "20ep" and executor.made[1][1].endswith("s")  # the default of a recipe
    assert len(comparison.runs["frozen"]) == 1 and len(comparison.runs["strong"]) == 2


def test_a_job_that_goes_on_keeps_its_seeds_and_their_length(tmp_path):
    first = Executor()
    held(tmp_path, first, most=3)
    again = Executor()
    assert len(held(tmp_path, again, spent=990.0).runs["plain"]) == 3  # with more seeds allowed, and no time left
    assert again.made == first.made
    late = Executor()
    assert len(held(tmp_path, late).runs["plain"]) == 3 and late.made == first.made  # with all of the time


def test_the_time_of_an_earlier_call_counts(tmp_path):
    """A job that was stopped after its first runs does not begin with all of its time again."""

    class Stopped(Executor):
        def run(self, tasks):
            for task in super().run(tasks):
                if task.path.name == "strong-s0":
                    raise KeyboardInterrupt
                yield task

    with pytest.raises(KeyboardInterrupt):
        held(tmp_path, Stopped(), spent=900.0, seeds=3)
    assert json.loads((tmp_path / "division.json").read_text())["spent"] >= 900
    assert len(held(tmp_path, Executor(), seeds=3).runs["plain"]) == 1


def test_a_failed_run_is_told(tmp_path):
    with pytest.raises(RunError, match="strong-s0 failed: on purpose"):
        held(tmp_path, Executor(failing="strong-s0"))


def answered(path, probabilities, labels):
    """A run whose validation samples were given these probabilities of class b."""
    path.mkdir(parents=True)
    from whet.core.run_folder import RunFolder

    run, p = RunFolder(path), np.array(probabilities)
    seen = evidence(np.column_stack([1 - p, p]), ["ab".index(label) for label in labels])
    write_evidence(run, {"val": seen})
    loss = sum((1 - p if label == "b" else p) for p, label in zip(probabilities, labels, strict=True))
    (path / "metrics.json").write_text(json.dumps({"val": {"log_loss": loss}}))
    return run


def test_accuracy_is_chosen_by_its_proper_score_and_other_metrics_by_themselves(tmp_path):
    labels = "aaaaaabb"
    often = answered(tmp_path / "often", [0.1] * 6 + [0.4, 0.4], labels)  # 75 % right, never b: macro-F1 43 %
    fair = answered(tmp_path / "fair", [0.6] * 3 + [0.1] * 3 + [0.9] * 2, labels)  # 62 %: macro-F1 62 %
    shy = answered(tmp_path / "shy", [0.45] * 8, labels)  # as right as `often`, and less sure
    runs = {"plain": [shy], "often": [often], "fair": [fair]}
    assert RecipeComparison(runs, "accuracy").winner == "often" and RecipeComparison(runs, "macro_f1").winner == "fair"
    lucky = answered(tmp_path / "lucky", [0.1] * 6 + [0.01, 0.01], labels)  # 75 % right, and certain where it is wrong
    assert RecipeComparison({"plain": [lucky], "fair": [fair]}, "accuracy").winner == "fair"
