"""whet runs"""

import json

import pytest
from tests.conftest import train_small, whet
from tests.test_run_index import write_run

from whet.core.output import claim
from whet.core.run_folder import RunFolder

LONG = "n" * 150


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path / "runs" / "old", accuracy=0.9, started=1000)
    write_run(tmp_path / "runs" / LONG, accuracy=0.5, started=3000)
    write_run(tmp_path / "runs" / "half", started=2000)
    write_run(tmp_path / "runs" / "bad", started=500)
    (tmp_path / "runs" / "bad" / "failure.json").write_text(json.dumps({"reason": "out of memory"}))
    return tmp_path


def names(done) -> list[str]:
    return [line.split()[0].rpartition("/")[2] for line in done.stdout.splitlines()[1:] if line.startswith("runs/")]


def test_the_newest_first_with_score_and_state(folder):
    done = whet("runs", cwd=folder)
    assert done.returncode == 0 and names(done) == [LONG, "half", "old", "bad"]
    lines = dict(zip(names(done), done.stdout.splitlines()[1:]))
    assert "accuracy 90.0 % (80.0 to 100.0), 50 test samples" in lines["old"] and "photos" in lines["old"]
    assert "stopped" in lines["half"] and "failed" in lines["bad"] and "resnet18" in lines["half"]
    assert "failed  runs/bad: out of memory" in done.stdout
    assert "whet train --resume runs/half" in done.stderr


def test_the_best_first(folder):
    assert names(whet("runs", "--sort", "score", cwd=folder))[:2] == ["old", LONG]
    wrong = whet("runs", "--sort", "age", cwd=folder)
    assert wrong.returncode == 1 and "newest" in wrong.stderr


def test_json_and_the_runs_inside(folder):
    claim(folder / "runs" / "imp", "improve")
    write_run(folder / "runs" / "imp" / "plain-s0", accuracy=0.7)
    found = json.loads(whet("runs", folder, "--json").stdout)
    assert {entry["kind"] for entry in found} == {"training", "improvement"} and len(found) == 5
    assert {entry["score"]["value"] for entry in found if entry["score"]} == {0.9, 0.5}
    inside = json.loads(whet("runs", folder, "--json", "--all").stdout)
    assert [entry["parent"] for entry in inside if entry["parent"]] == [str(folder / "runs" / "imp")]


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    done = whet("runs", tmp_path / "empty")
    assert (done.returncode, done.stdout) == (0, "") and "no runs in" in done.stderr
    assert whet("runs", tmp_path / "empty", "--json").stdout.strip() == "[]"
    missing = whet("runs", cwd=tmp_path)
    assert missing.returncode == 1 and "folder runs does not exist" in missing.stderr


def test_a_real_run(finished_run):
    (entry,) = json.loads(whet("runs", finished_run, "--json").stdout)
    metrics = RunFolder(finished_run).read_json(finished_run / "metrics.json")
    assert entry["score"]["value"] == metrics["test"]["accuracy"] and entry["kind"] == "training"
    assert [entry["score"]["low"], entry["score"]["high"]] == metrics["test"]["accuracy_interval"]
    assert entry["recipe"] == "image/from_scratch" and entry["network"] == "resnet9_slim" and entry["seed"] == 1


def test_a_training_that_fails_and_one_that_goes_on(images, tmp_path, monkeypatch):
    from whet.core.errors import NonFiniteError
    from whet.training.session import Session

    train = Session.train

    def broken(*values):
        raise NonFiniteError("step 3: the loss is nan")

    monkeypatch.setattr(Session, "train", broken)
    assert train_small(images, tmp_path / "runs" / "a", budget="1ep").returncode == 1
    (entry,) = json.loads(whet("runs", tmp_path, "--json").stdout)
    assert (entry["state"], entry["failure"]) == ("failed", "step 3: the loss is nan")
    monkeypatch.setattr(Session, "train", train)
    assert whet("train", "--resume", tmp_path / "runs" / "a").returncode == 0
    (entry,) = json.loads(whet("runs", tmp_path, "--json").stdout)
    assert (entry["state"], entry["failure"]) == ("finished", "")
    assert not (tmp_path / "runs" / "a" / "failure.json").exists()
