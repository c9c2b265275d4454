"""Trackers receive what a run logs. MLflow, Weights & Biases and Trackio are stand-ins with the signatures of the real ones."""

import sys
import types
from pathlib import Path

import pytest
from tests.conftest import FAST, write_images

import whet
from whet import api, recipes
from whet.core.errors import RecipeError, RunError
from whet.tracking import RunInfo, Tracker, Trackers, flat, made, summary_of


class MlflowClient:
    """mlflow.MlflowClient of MLflow 3, as far as it is used."""

    def __init__(self, tracking_uri=None, registry_uri=None):
        self.uri, self.calls, self.made = tracking_uri, [], None
        MlflowClient.last = self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name, artifact_location=None, tags=None):
        self.made = name
        return "7"

    def create_run(self, experiment_id, start_time=None, tags=None, run_name=None):
        assert experiment_id == "7"
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=f"id of {run_name}"))

    def log_batch(self, run_id, metrics=(), params=(), tags=(), synchronous=None):
        assert len(metrics) <= 1000 and len(params) <= 100
        self.calls += [("metric", m) for m in metrics] + [("param", p) for p in params]

    def log_artifact(self, run_id, local_path, artifact_path=None):
        self.calls.append(("artifact", Path(local_path).name))

    def set_terminated(self, run_id, status=None, end_time=None):
        self.calls.append(("end", status))


class LikeWandb:
    """wandb.init, or trackio.init without the further arguments, and the run that it returns."""

    def __init__(self):
        self.calls, self.summary = [], {}

    def init(self, project=None, name=None, config=None, **further):
        self.given = {"project": project, "name": name, "config": config, **further}
        return self

    def log(self, values, step=None):
        self.calls.append((step, values))

    def save(self, glob_str=None, base_path=None, policy="live"):
        self.calls.append(Path(glob_str).name)

    def finish(self, **further):
        self.calls.append(("finish", further))


@pytest.fixture
def mlflow(monkeypatch):
    module = types.ModuleType("mlflow")
    module.MlflowClient = MlflowClient
    module.entities = types.SimpleNamespace(
        Metric=lambda key, value, timestamp, step: (key, value, step), Param=lambda key, value: (key, value)
    )
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.fixture
def like_wandb(monkeypatch, request):
    found = LikeWandb()
    module = types.ModuleType("like wandb")
    module.init = found.init
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return found


INFO = RunInfo("run", Path("runs/run"), {"train.seed": 0})


def tracked(name, folder=None):
    """A run of two steps."""
    several = Trackers(made([name]))
    several.start(INFO if folder is None else RunInfo("run", folder, {"train.seed": 0}))
    for step in (1, 2):
        several.log("step", {"step": step, "loss": 0.5 / step, "epoch": 0})
    several.log("note", {"text": "no number"})
    several.finish({"test/accuracy": 0.9}, [Path("runs/run/report.html")])
    several.finish(None)  # nothing more


def test_mlflow(mlflow):
    tracked("mlflow")
    client = MlflowClient.last
    assert client.uri == "sqlite:///mlflow.db" and client.made == "whet"
    assert client.calls == [
        ("param", ("train.seed", "0")), ("artifact", "report.html"), ("metric", ("step/loss", 0.5, 1)),
        ("metric", ("step/loss", 0.25, 2)), ("metric", ("test/accuracy", 0.9, 0)), ("end", "FINISHED"),
    ]  # fmt: skip


def test_a_run_that_stopped_is_not_finished(mlflow):
    several = Trackers(made(["mlflow"]))
    several.start(INFO)
    several.finish(None)
    assert MlflowClient.last.calls[-1] == ("end", "KILLED")


def test_weights_and_biases_is_offline(like_wandb):
    tracked("wandb")
    assert like_wandb.given == {
        "project": "whet",
        "name": "run",
        "config": {"train.seed": 0},
        "dir": "runs/run",
        "mode": "offline",
    }
    assert like_wandb.calls == [
        (1, {"step/loss": 0.5}),
        (2, {"step/loss": 0.25}),
        "report.html",
        ("finish", {"exit_code": 0}),
    ]
    assert like_wandb.summary == {"test/accuracy": 0.9}


def test_trackio(like_wandb):
    tracked("trackio")
    assert like_wandb.given == {"project": "whet", "name": "run", "config": {"train.seed": 0}}
    assert like_wandb.calls == [
        (1, {"step/loss": 0.5}),
        (2, {"step/loss": 0.25}),
        (2, {"test/accuracy": 0.9}),
        ("finish", {}),
    ]


def test_tensorboard(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracked("tensorboard", tmp_path)
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("step/loss")] == [(1, 0.5), (2, 0.25)]
    assert found.Scalars("test/accuracy")[0].value == pytest.approx(0.9)


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(RunError, match=r"pip install 'whet\[mlflow\]'"):
        made(["mlflow"])
    with pytest.raises(RecipeError, match=r"unknown tracker 'mlfow'.*mlflow"):
        made(["mlfow"])


class Broken(Tracker):
    name, package, extra = "broken", "json", "none"
    calls = 0

    def start(self, run):
        pass

    def log(self, step, values):
        Broken.calls += 1
        raise ConnectionError("no server\nat this address")

    def finish(self, summary):
        raise AssertionError("it is switched off")


def test_a_tracker_that_fails_is_noted_once_and_left_out(tmp_path, monkeypatch, mlflow):
    monkeypatch.setattr("whet.training.job.made", lambda names: [Broken(), *made(names)])
    data = write_images(tmp_path / "images", {"glass": 12, "metal": 12})
    recipe = api.build_recipe(str(data), None, None, "4st", architecture="resnet9_slim", weights="none")
    recipe = recipes.change(recipe, settings=tuple(FAST))
    run = whet.train(data, recipe=recipe, out=tmp_path / "run", track=["mlflow"])
    assert run.folder.finished and Broken.calls == 1
    notes = [line for line in run.metrics["notes"] if "broken" in line]
    assert notes == ["the tracker broken failed and was switched off: ConnectionError: no server"]
    calls = MlflowClient.last.calls
    assert [m[2] for kind, m in calls if kind == "metric" and m[0] == "step/loss"] == [1, 2, 3, 4]
    assert ("artifact", "report.html") in calls and calls[-1] == ("end", "FINISHED")
    assert ("metric", ("test/accuracy", run.metrics["test"]["accuracy"], 0)) in calls


def test_settings_are_flat_and_the_summary_has_single_numbers():
    assert flat({"a": 1, "b": {"c": [2, {"d": 3}], "e": {}}}) == {"a": 1, "b.c.0": 2, "b.c.1.d": 3, "b.e": {}}
    metrics = {"test": {"accuracy": 0.5, "confusion": [[1]], "right": True}, "cost": {"epochs": 2}, "notes": []}
    assert summary_of(metrics) == {"test/accuracy": 0.5, "cost/epochs": 2.0}
