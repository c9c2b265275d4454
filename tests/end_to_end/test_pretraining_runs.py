"""Pre-training in whole runs: trained, resumed, opened again, and a training that starts from it."""

import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import FAST, whet, write_images

import whet as package
from whet.core.errors import CollapseError, RunError, WeightsError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.evaluate.evidence import read_evidence
from whet.methods import FromRun
from whet.models.build import build_net, load_net
from whet.report import build_report
from whet.training.data_record import seen_note
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.signals import Interrupted

CLASSES = ("glass", "metal")


def recipe(data, *methods, budget="3ep"):
    return Recipe.from_dict(
        {
            "task": "image-pretraining",
            "data": {"path": str(data)},
            "model": {"architecture": "resnet9_slim", "weights": "none"},
            "train": {
                "budget": budget, "batch_size": 16, "image_size": 16, "precision": "fp32", "torch_threads": 1,
                "loader_threads": 1,
            },
            "methods": [
                "random_resized_crop", "brightness", *(methods or [{"byol": {"width": 16, "hidden": 16}}]),
                {"sgd": {"lr": 0.02}}, "cosine",
            ],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images", {"glass": 40, "metal": 30, "paper": 20})


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train_run(recipe(data), tmp_path_factory.mktemp("runs") / "plain", report=build_report)


def test_it_is_measured_on_held_out_samples(run):
    metrics, checks = run.read_json(run.metrics), [r for r in run.log_records() if r["event"] == "validation"]
    assert metrics["task"] == "pretraining" and metrics["val"]["samples"] == 14
    assert metrics["val"].keys() == {"samples", "loss", "feature_deviation", "knn_accuracy"}
    assert 0 < metrics["val"]["loss"] < checks[0]["loss"] and 0.05 < metrics["val"]["feature_deviation"] <= 1
    assert metrics["val"]["loss"] == pytest.approx(checks[-1]["loss"], abs=1e-6)
    assert package.load(run.path).predictions.columns.tolist() == ["id", "split", "loss"]


def test_its_report_leads_with_the_loss(run):
    page = run.report.read_text(encoding="utf-8")
    assert "pretext loss on test samples" in page and "feature deviation" in page
    assert "nearest neighbours of the same class" in page and "mistakes" not in page.lower()


def test_the_saved_network_returns_the_same_features(run, data):
    evidence = read_evidence(run, "val")
    frame = package.load(run.path).predict([data / name for name in evidence.ids])
    features = frame.filter(like="feature:").to_numpy()
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert features.shape[1] == load_net(run.model).width and np.allclose(unit, evidence.unit_ND, atol=2e-3)
    assert frame["error"].tolist() == [""] * len(evidence)
    assert not any(name.startswith("pretext") for name in load_net(run.model).state_dict())


def test_a_training_starts_from_its_backbone(run, data, tmp_path):
    theirs = load_net(run.model)
    net, notes = build_net(ModelSpec(architecture=str(run.path), weights=str(run.path)), CLASSES)
    for name, tensor in theirs.backbone.state_dict().items():
        assert torch.equal(net.backbone.state_dict()[name], tensor), name
    assert notes == [f"weights of the backbone from the run {run.name}"] and net.head.out_features == len(CLASSES)
    with Rng(1).torch_scope("init"):
        other = build_net(ModelSpec(architecture="resnet9_slim", weights="none"), CLASSES)[0]
    FromRun(run=str(run.path)).initialise(other, None)
    assert all(
        torch.equal(one, other.backbone.state_dict()[name]) for name, one in theirs.backbone.state_dict().items()
    )
    settings = [word for setting in FAST for word in ("--set", setting)]
    done = whet("train", data, "--weights", run.path, "--out", tmp_path / "on", "--budget", "1st", "--json", *settings)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in json.loads(done.stdout)["test"]


def test_runs_that_do_not_fit_are_refused(run, tmp_path):
    path = str(run.path)
    with pytest.raises(WeightsError, match="has the architecture resnet9_slim, not vgg16"):
        build_net(ModelSpec(architecture="vgg16", weights=path), CLASSES)
    with pytest.raises(WeightsError, match="a run on images; this training is on texts"):
        build_net(ModelSpec(architecture=path, weights=path), CLASSES, "text")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "requested.yaml").write_text("task: image-pretraining\n")
    with pytest.raises(package.WhetError, match="no finished run"):
        build_net(ModelSpec(architecture="auto", weights=str(tmp_path / "begun")), CLASSES)


class Stopper(Observer):
    def step(self, record):
        if record["step"] == 5:
            signal.raise_signal(signal.SIGINT)


def assert_cut_off_ends_like(run, asked, folder):
    with pytest.raises(Interrupted):
        train_run(asked, folder, observer=Stopper())
    resume_run(folder)
    again = RunFolder(folder)
    assert (again.model / "model.safetensors").exists() == (run.model / "model.safetensors").exists()
    for file in run.model.glob("*.safetensors"):
        assert (again.model / file.name).read_bytes() == file.read_bytes()
    assert again.read_json(again.metrics)["val"] == run.read_json(run.metrics)["val"]


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_cut_off_ends_bit_identical(data, run, tmp_path):
    """With a target network and an average of the weights."""
    assert_cut_off_ends_like(run, recipe(data), tmp_path / "cut")


@pytest.mark.slow
def test_a_masked_autoencoder_cut_off_ends_bit_identical(data, tmp_path):
    """The masks are drawn by sample and epoch."""
    asked = recipe(data, {"masked_autoencoder": {"width": 32, "depth": 1}}, budget="2ep")
    run = train_run(asked, tmp_path / "plain")
    checks = [record["loss"] for record in run.log_records() if record["event"] == "validation"]
    assert checks[-1] < checks[0]
    assert_cut_off_ends_like(run, asked, tmp_path / "cut")


def test_samples_that_are_all_alike_stop_it(tmp_path):
    """Nothing can be told apart: the features are the same."""
    for k in range(40):
        pixels = np.full((16, 16, 3), 128, dtype=np.uint8)
        pixels[0, 0] = k
        (tmp_path / "blank").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "blank" / f"{k:02d}.png")
    with pytest.raises(CollapseError, match="pre-training has collapsed"):
        train_run(recipe(tmp_path / "blank", {"simsiam": {"width": 16, "bottleneck": 4}}), tmp_path / "run")
    with pytest.raises(RunError, match="not finished"):
        package.load(tmp_path / "run").predict([tmp_path / "blank" / "00.png"])


def test_the_command_ends_with_the_next_one(tmp_path):
    photos = write_images(tmp_path / "photos" / "all", {"x": 30})
    settings = ("--set", "simsiam.width=16", "--image-size", "32", "--batch-size", "8", "--set", "train.precision=fp32")
    done = whet(
        "pretrain", photos, "--out", tmp_path / "run", "--architecture", "resnet9_slim", "--budget", "2st", *settings
    )
    assert done.returncode == 0, done.stderr
    assert "pretext loss on 5 held-out samples, feature deviation" in done.stdout and "nearest" not in done.stdout
    assert f"whet train YOUR_LABELLED_DATA --weights {tmp_path / 'run'}" in done.stderr.replace("\n", "")
    refused = whet("pretrain", photos, "--out", tmp_path / "no", "--without", "simsiam")
    assert refused.returncode == 1 and "needs a method that supplies the loss" in refused.stderr


def test_a_training_says_which_of_its_held_out_samples_the_run_has_trained_on(run, data):
    own = read_data(DataSpec(path=str(data)))
    other = read_data(DataSpec(path=str(data), split_seed=1))
    assert seen_note(str(run.path), own.for_problem("image-classification")) is None  # the same split
    held_out = other.frame[other.frame["split"] != "train"]
    trained = set(own.part("train").frame["digest"])
    line = seen_note(str(run.path), other)
    assert line.startswith(
        f"{held_out['digest'].isin(trained).sum()} of {len(held_out)} validation and test samples were training"
    )
    assert seen_note("some/hub-name", other) is None
