"""The list of results, from folders as the commands write them."""

import json
import os
from datetime import UTC, datetime

import pytest
import yaml

import whet
from whet.core.errors import RunError
from whet.core.output import claim
from whet.core.run_folder import RunFolder

METHODS = [{"random_resized_crop": {"min_area": 0.3}}, "horizontal_flip", "adamw"]


def shipped(name: str) -> list:
    from whet import recipes

    return yaml.safe_load((recipes.folder() / f"{name}.yaml").read_text())["methods"]


def recipe(methods=METHODS, *, seed=0, task="image-classification") -> dict:
    return {
        "task": task, "data": {"path": "/data/photos"}, "model": {"architecture": "auto", "weights": "auto"},
        "train": {"seed": seed}, "methods": methods,
    }  # fmt: skip


def write_run(path, *, accuracy=None, begun=True, started=1000, methods=METHODS, part="test", log=True) -> RunFolder:
    """A run folder with its small files; finished if it has an accuracy."""
    claim(path, "run")
    folder = RunFolder(path)
    folder.requested.write_text(yaml.safe_dump(recipe(methods)))
    if begun:
        folder.recipe.write_text(
            yaml.safe_dump({**recipe(methods), "model": {"architecture": "resnet18", "weights": "none"}})
        )
    if log:
        folder.log.write_text("")
    if accuracy is not None:
        result = {
            "samples": 50, "accuracy": accuracy, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1], "log_loss": 0.5,
            "per_class": [], "worst_class": {"name": "a", "recall": 0.1},
        }  # fmt: skip
        folder.metrics.write_text(
            json.dumps({"task": "single-label", part: result, "seed": 0, "cost": {"total_seconds": 12.5}})
        )
        folder.report.write_text("")
        folder.done.write_text("")
        os.utime(folder.done, (started + 20, started + 20))
    os.utime(path / ".whet.json", (started, started))
    return folder


def by_name(entries) -> dict:
    return {entry.path.name: entry for entry in entries}


def test_a_finished_run_with_its_score_and_interval(tmp_path):
    write_run(tmp_path / "runs" / "a", accuracy=0.8)
    (entry,) = whet.list_runs(tmp_path / "runs")
    assert (entry.kind, entry.state, entry.data, entry.network) == ("training", "finished", "/data/photos", "resnet18")
    assert (entry.weights, entry.seed, entry.seconds, entry.failure) == ("none", 0, 12.5, "")
    score = entry.score
    assert (score.metric, score.value, score.part, score.samples) == ("accuracy", 0.8, "test", 50)
    assert (score.low, score.high) == pytest.approx((0.7, 0.9))
    assert entry.metrics == {
        "samples": 50,
        "accuracy": 0.8,
        "log_loss": 0.5,
    }  # numbers only
    assert entry.started == datetime.fromtimestamp(1000, UTC) and entry.finished == datetime.fromtimestamp(1020, UTC)
    assert entry.report == tmp_path / "runs" / "a" / "report.html"
    plain = json.loads(json.dumps(entry.to_dict(), default=str))
    assert plain["started"] == "1970-01-01T00:16:40+00:00" and plain["score"]["value"] == 0.8


def test_states(tmp_path):
    write_run(tmp_path / "stopped")
    write_run(tmp_path / "early", begun=False)
    write_run(tmp_path / "failed")
    (tmp_path / "failed" / "failure.json").write_text(json.dumps({"reason": "the loss is not finite"}))
    write_run(tmp_path / "done", accuracy=0.5)
    claim(tmp_path / "empty", "run")
    working = write_run(tmp_path / "working")
    with working.lock():
        found = by_name(whet.list_runs(tmp_path))
        with pytest.raises(whet.WhetError, match="in use"):
            working.require_free()  # looking at it did not take its lock
    assert {name: entry.state for name, entry in found.items()} == {
        "stopped": "stopped", "early": "stopped", "failed": "failed", "done": "finished", "working": "running",
    }  # fmt: skip
    assert found["failed"].failure == "the loss is not finite" and found["early"].network == "auto"
    assert by_name(whet.list_runs(tmp_path))["working"].state == "stopped"


def test_the_newest_first_and_only_what_whet_wrote(tmp_path):
    write_run(tmp_path / "runs" / "old", accuracy=0.9, started=1000)
    write_run(tmp_path / "runs" / "new", accuracy=0.5, started=3000)
    write_run(tmp_path / "projects" / "x" / "runs" / "middle", accuracy=0.7, started=2000)
    claim(tmp_path / "runs" / "check", "check")
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    assert [entry.path.name for entry in whet.list_runs(tmp_path)] == ["new", "middle", "old"]
    with pytest.raises(RunError, match="does not exist"):
        whet.list_runs(tmp_path / "nowhere")


def test_an_improvement_shows_its_best_run_and_hides_the_others(tmp_path):
    path = tmp_path / "imp"
    claim(path, "improve")
    write_run(path / "plain-s0", accuracy=0.7)
    write_run(path / "strong-s0", accuracy=0.8)
    claim(path / "study", "study")
    write_run(path / "study" / "runs" / "abc-s0", accuracy=0.75, part="val")
    unfinished = whet.list_runs(tmp_path)
    assert [(entry.kind, entry.state, entry.score) for entry in unfinished] == [("improvement", "stopped", None)]
    assert unfinished[0].data == "/data/photos"
    with RunFolder(path / "study" / "runs" / "abc-s0").lock():
        assert whet.list_runs(tmp_path)[0].state == "running"
    difference = {"mean": 0.1, "low": 0.02, "high": 0.18, "verdict": "helps"}
    (path / "improvement.json").write_text(
        json.dumps({"best_run": "strong-s0", "metric": "accuracy", "difference": difference, "seconds": 60.0})
    )
    (entry,) = whet.list_runs(tmp_path)
    assert (entry.state, entry.best_run, entry.score.value, entry.seconds) == ("finished", path / "strong-s0", 0.8, 60)
    assert (entry.gain.metric, entry.gain.mean, entry.gain.verdict) == ("accuracy", 0.1, "helps")
    everything = by_name(whet.list_runs(tmp_path, inner=True))
    assert {name: one.parent for name, one in everything.items()} == {
        "imp": None, "plain-s0": path, "strong-s0": path, "study": path, "abc-s0": path / "study",
    }  # fmt: skip
    assert everything["abc-s0"].score.part == "val"
    assert set(by_name(whet.list_runs(path))) == {"plain-s0", "strong-s0", "study"}


def test_a_tuning_shows_its_best_trial_and_a_study_its_gain(tmp_path):
    claim(tmp_path / "tun", "tune")
    for number in (0, 1):
        write_run(tmp_path / "tun" / "runs" / f"t{number}", accuracy=0.6 + 0.1 * number, part="val")
    trials = [{"trial": number, "run": f"t{number}"} for number in (0, 1)]
    (tmp_path / "tun" / "tuning.json").write_text(
        json.dumps({"metric": "accuracy", "trials": trials, "best": 1, "confirmed": None, "seconds": 5.0})
    )
    claim(tmp_path / "stu", "study")
    (tmp_path / "stu" / "study.yaml").write_text(yaml.safe_dump({"recipe": recipe()}))
    confirmed = {"mean": -0.05, "low": -0.1, "high": 0.0, "verdict": "undecided"}
    (tmp_path / "stu" / "study.json").write_text(
        json.dumps({"metric": "log_loss", "confirmed": confirmed, "seconds": 9.0})
    )
    found = by_name(whet.list_runs(tmp_path))
    assert found["tun"].score.value == pytest.approx(0.7) and found["tun"].gain is None
    assert found["stu"].score is None and found["stu"].data == "/data/photos"
    assert (found["stu"].gain.metric, found["stu"].gain.mean) == ("log_loss", -0.05)


def test_a_recipe_is_named_after_the_nearest_shipped_one(tmp_path):
    waste = shipped("image/waste")
    write_run(tmp_path / "same", methods=waste)
    write_run(tmp_path / "changed", methods=[*waste[1:], "posterize"])
    write_run(tmp_path / "own", methods=["adamw"])
    found = by_name(whet.list_runs(tmp_path))
    first = waste[0] if isinstance(waste[0], str) else next(iter(waste[0]))
    assert found["same"].recipe == "image/waste" and found["own"].recipe == ""
    assert found["changed"].recipe == f"image/waste +posterize -{first}"
    assert "posterize" in found["changed"].methods


def test_an_ensemble_has_no_log(tmp_path):
    stacking = {"stacking": {"runs": ["/runs/b"], "how": "mean"}}
    write_run(tmp_path / "ensemble", accuracy=0.9, methods=[*METHODS, stacking], log=False)
    write_run(tmp_path / "stacked", accuracy=0.9, methods=[*METHODS, stacking])
    assert {name: one.kind for name, one in by_name(whet.list_runs(tmp_path)).items()} == {
        "ensemble": "ensemble",
        "stacked": "training",
    }
