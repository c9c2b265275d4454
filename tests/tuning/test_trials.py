"""The memory of a search outlives its processes, and says the same to whoever asks it."""

import importlib
import sys

import pytest
from tests.studies import runs

from whet.core.errors import Ended, RunError
from whet.core.recipe import Recipe
from whet.training.log import Observer
from whet.tuning.pruning import Pruning, TrialRun
from whet.tuning.space import make_space
from whet.tuning.trials import Trials, load_trial

RECIPE = Recipe.from_dict({"methods": [{"sgd": {"lr": 0.05}}]})
SPACE = make_space(RECIPE, (), ["sgd.lr=0.001:1:log", "sgd.nesterov=true,false", "train.batch_size=8,16,32"], 100)


def opened(folder, seed=0):
    return Trials(folder / "trials.journal", SPACE, smaller_is_better=False, seed=seed)


def score(values):
    return 1 / (1 + abs(values["sgd.lr"] - 0.3))


def test_the_first_is_the_recipe_as_it_is_and_the_rest_follow_from_seed_and_history(tmp_path):
    found = []
    for name, reopened in (("once", False), ("again", True)):
        (tmp_path / name).mkdir()
        trials, values = opened(tmp_path / name), []
        for _ in range(14):
            if reopened:  # as by a new process, whenever it was stopped
                trials = opened(tmp_path / name)
            proposal = trials.ask()
            if reopened:
                trials = opened(tmp_path / name)
                assert [p.values for p in trials.unfinished()] == [proposal.values]
            values.append(proposal.values)
            trials.tell(proposal.number, score(proposal.values))
        assert list(trials.unfinished()) == []
        found.append(values)
    assert found[0] == found[1]
    assert found[0][0] == {"sgd.lr": 0.05, "sgd.nesterov": True, "train.batch_size": "auto"}
    assert len({values["sgd.lr"] for values in found[0]}) == 14
    other = tmp_path / "other"
    other.mkdir()
    opened(other, seed=1).ask()
    assert opened(other, seed=1).ask().values != found[0][1]


def test_it_finds_what_is_better_than_chance(tmp_path):
    trials = opened(tmp_path)
    for _ in range(40):
        proposal = trials.ask()
        trials.tell(proposal.number, score(proposal.values))
    lr = [proposal.values["sgd.lr"] for proposal in trials.over()]
    near = [abs(value - 0.3) < 0.15 for value in lr]
    assert sum(near[20:]) > 2 * max(1, sum(near[:10]))
    importances = trials.importances()
    assert sum(importances.values()) == pytest.approx(1)
    assert max(importances, key=importances.get) == "sgd.lr"


def test_a_line_that_was_half_written_is_cut_off(tmp_path):
    trials = opened(tmp_path)
    trials.tell(trials.ask().number, 0.5)
    with (tmp_path / "trials.journal").open("a") as handle:
        handle.write('{"op_code": 5, "worker')
    again = opened(tmp_path)
    assert len(again) == 1
    again.tell(again.ask().number, 0.6)
    assert len(opened(tmp_path)) == 2


def report(trials, number, values):
    trial = load_trial(trials.file, number)
    for percent, value in zip((20, 40, 60, 80, 100), values):
        trial.report(value, percent)


def observer(tmp_path, trials, metric="accuracy"):
    proposal = trials.ask()
    (tmp_path / f"run{proposal.number}").mkdir()
    task = TrialRun(
        runs.recipe(tmp_path), tmp_path / f"run{proposal.number}", proposal.number, proposal.id, trials.file, metric
    )
    made = task.observer(Observer())
    assert isinstance(made, Pruning)
    made.steps(0, 50)
    return made, task


def validated(watch, percent, value, key="accuracy"):
    watch.validated({"step": percent // 2, "accuracy": 0.0, "macro_f1": 0.0, key: value})


def test_a_trial_below_the_median_is_given_up_but_neither_early_nor_at_its_end(tmp_path):
    trials = opened(tmp_path)
    for best in (0.5, 0.6, 0.7, 0.8):
        number = trials.ask().number
        report(trials, number, [best / 5 * k for k in range(1, 6)])
        trials.tell(number, best)
    bad, task = observer(tmp_path, trials)
    validated(bad, 0, 0.0)
    validated(bad, 20, 0.01)  # in the first third
    assert not task.over
    with pytest.raises(Ended, match=r"pruned after 40 % of training"):
        validated(bad, 40, 0.02)
    assert task.over
    assert trials.curve(task.number) == [(20, 0.01), (40, 0.02)]  # what was before training is not told
    trials.tell_pruned(task.number)
    good, task = observer(tmp_path, trials)
    for percent in (20, 40, 60, 80):
        validated(good, percent, 0.75)
    validated(good, 100, 0.0)  # nothing is saved by giving up what is done
    assert not task.over
    twice = task.observer(Observer())  # gone on with from a checkpoint: it tells again what it told
    twice.steps(30, 50)
    validated(twice, 80, 0.4)
    assert dict(trials.curve(task.number))[80] == 0.75
    trials.tell(task.number, 0.5)
    worst, task = observer(tmp_path, trials, metric="worst_class")
    validated(worst, 40, 0.9, key="macro_f1")
    assert trials.curve(task.number) == [(40, 0.9)]
    masks, task = observer(tmp_path, trials, metric="worst_class")
    masks.validated({"step": 20, "mean_iou": 0.8, "dice": 0.9})
    assert trials.curve(task.number) == [(40, 0.8)]


def test_a_node_that_does_not_see_the_journal_runs_the_trial_to_its_end(tmp_path):
    task = TrialRun(runs.recipe(tmp_path), tmp_path / "run", 0, 0, tmp_path / "nowhere", "accuracy")
    watch = Observer()
    assert task.observer(watch) is watch


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "whet.tuning.trials")
    with pytest.raises(RunError, match=r"tuning requires Optuna: pip install 'whet\[tune\]'"):
        importlib.import_module("whet.tuning.trials")
