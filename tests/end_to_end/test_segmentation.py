"""Semantic segmentation from masks: trained, resumed, evaluated, predicted, compared and studied."""

import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image

import whet
from whet.core.errors import DataError, OutputError, RecipeError
from whet.core.masks import IGNORE
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.data.read import problem_of, read_data
from whet.evaluate.compare import compare_runs
from whet.evaluate.inference import prepared
from whet.models.decoders import resized
from whet.report import build_report
from whet.segments import write_segments
from whet.training.job import resume_run, train_run
from whet.training.saved import SavedModel
from whet.training.signals import Interrupted

CLASSES = ("background", "can", "glass")
COLOURS = np.array([[90, 90, 90], [200, 60, 60], [60, 60, 200]])


def make_pairs(folder, count=36, size=(40, 48)):
    """Grey images with a red and a blue rectangle; masks/ with their classes, and a column of ignored pixels."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    draws = Rng(4).batch("boxes", 0, np.arange(count))
    top, left = draws.integers(size[0] - 16), draws.integers(size[1] - 16)
    noise = draws.normal((*size, 3))
    for i in range(count):
        mask = np.zeros(size, dtype=np.uint8)
        mask[top[i] : top[i] + 14, left[i] : left[i] + 14] = 1 + i % 2
        pixels = (COLOURS[mask] + 12 * noise[i]).clip(0, 255).astype(np.uint8)
        mask[:, -2:] = IGNORE
        Image.fromarray(pixels).save(folder / "images" / f"{i:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i:02d}.png")
    return folder


def recipe(data, *methods, budget="10ep", seed=0, **settings):
    return Recipe.from_dict(
        {
            "task": "semantic-segmentation",
            "data": {"path": str(data), "masks": {"classes": list(CLASSES)}, "val_fraction": 0.2, "test_fraction": 0.25},
            "model": {"architecture": "resnet9_slim", "weights": "none", **settings.pop("model", {})},
            "train": {
                "budget": budget, "batch_size": 4, "image_size": 32, "precision": "fp32", "torch_threads": 1,
                "loader_threads": 2, "seed": seed, **settings,
            },
            "methods": ["horizontal_flip", *methods, {"adamw": {"lr": 3e-3}}, "cosine"],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train_run(recipe(data), tmp_path_factory.mktemp("runs") / "plain", report=build_report)


def test_the_data_say_their_task(data):
    assert problem_of(DataSpec(path=str(data))) == "semantic-segmentation"


def test_it_learns_and_says_so(run):
    metrics = json.loads(run.metrics.read_text())
    assert metrics["test"]["mean_iou"] > 0.6
    low, high = metrics["test"]["mean_iou_interval"]
    assert low <= metrics["test"]["mean_iou"] <= high
    assert [row["name"] for row in metrics["test"]["per_class"]] == list(CLASSES)
    # Ignored pixels count nowhere.
    pixels = sum(row["pixels"] for row in metrics["test"]["per_class"])
    assert pixels == metrics["test"]["samples"] * 40 * 46


def test_the_report_shows_classes_and_worst_images(run):
    page = run.report.read_text(encoding="utf-8")
    assert "boundary F" in page
    assert "Images with the lowest IoU" in page
    assert (run.worst_images / "0-predicted.jpg").is_file()


def test_evaluate_gives_the_same_and_predict_writes_masks(run, data, tmp_path):
    loaded, metrics = whet.load(run.path), json.loads(run.metrics.read_text())
    again = loaded.evaluate(str(data), part=None)
    assert again["samples"] == 36
    own = loaded.evaluate(part="test")
    assert own["mean_iou"] == metrics["test"]["mean_iou"]
    rows = list(write_segments(loaded.segment([str(data / "images")]), loaded.classes, tmp_path / "out"))
    assert len(rows) == 36
    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "00.png"))
    assert mask.shape == (40, 48)
    assert set(np.unique(mask)) <= {0, 1, 2}
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert {one["name"] for one in coco["categories"]} == {"can", "glass"}
    assert all(0 < one["score"] <= 1 and one["id"] > 0 for one in coco["annotations"])
    with pytest.raises(OutputError, match="holds predictions already"):
        write_segments(iter(()), loaded.classes, tmp_path / "out")
    with pytest.raises(OutputError, match="images"):
        write_segments(iter(()), loaded.classes, data / "images" / "out", inputs=[str(data / "images")])
    assert not (data / "images" / "out").exists()
    frame = loaded.predict([str(data / "images" / "00.png"), str(data / "masks")])
    assert frame["area:can"].iloc[0] == pytest.approx((mask == 1).mean())


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_cut_off_ends_bit_identical(data, run, tmp_path):
    """A signal after two steps, then a resume."""
    from whet.training.log import Observer

    class Stopper(Observer):
        def step(self, record):
            if record["step"] == 8:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        train_run(recipe(data), tmp_path / "cut", observer=Stopper())
    resume_run(tmp_path / "cut")
    for name in ("whet.safetensors",):
        assert (tmp_path / "cut" / "model" / name).read_bytes() == (run.model / name).read_bytes()
    assert (
        RunFolder(tmp_path / "cut").read_json(tmp_path / "cut" / "metrics.json")["test"]
        == json.loads(run.metrics.read_text())["test"]
    )


def test_two_runs_are_compared_by_their_images(run, data, tmp_path):
    other = train_run(recipe(data, "cutmix", "ema", budget="2ep"), tmp_path / "other")
    _, (found,), samples = compare_runs([run, other], "mean_iou")
    assert samples == 9
    assert found.difference.low <= found.difference.mean <= found.difference.high


@pytest.mark.parametrize(
    "methods",
    [
        ("mosaic", "tta", "rotate"),
        ("mixup", "freeze", "random_erasing", "early_stopping"),
        ("copy_paste", "class_weight", "ohem", "dice", "deep_supervision", "ema", {"tiles": {"window": 24}}),
    ],
)
def test_methods_train(methods, data, tmp_path):
    done = train_run(recipe(data, *methods, budget="1ep"), tmp_path / "run")
    assert np.isfinite(json.loads(done.metrics.read_text())["test"]["mean_iou"])


def test_classes_are_counted_by_their_pixels(data):
    """Of 36 images of 40 x 46 counted pixels, each has one rectangle of 14 x 14, in part beyond the counted columns."""
    table = read_data(recipe(data).data)
    masks = [np.asarray(Image.open(path)) for path in sorted((data / "masks").glob("*.png"))]
    counted = np.concatenate([mask.ravel() for mask in masks])
    assert table.pixel_counts_K.tolist() == np.bincount(counted[counted != IGNORE], minlength=3).tolist()
    assert table.counts_K.tolist() == [36, 18, 18]


def test_a_method_for_labels_is_refused(data, tmp_path):
    with pytest.raises(RecipeError, match="logit_adjustment"):
        train_run(recipe(data, "logit_adjustment"), tmp_path / "run")


def test_an_unknown_head_is_refused(data, tmp_path):
    with pytest.raises(RecipeError, match=r"model\.head 'fpm'.*fpn"):
        train_run(recipe(data, model={"head": "fpm"}), tmp_path / "run")


def test_a_crop_that_cuts_masks_off_is_refused(data, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.fit"):
        train_run(recipe(data, fit="crop"), tmp_path / "run")


def test_a_class_number_beyond_the_names_is_refused_before_training(data, tmp_path):
    spec = DataSpec.of(str(data)).replace(masks={"classes": ["background", "can"]})
    with pytest.raises(DataError, match=r"masks/\d+\.png.*2"):
        read_data(spec)


def test_a_mirrored_image_gets_the_mirrored_mask(run, data):
    """The boundaries of both differ by a pixel at most, so that flips can be averaged: strided convolutions on even sizes see the
    two sides of an image differently."""
    saved = SavedModel(run.model, torch.device("cpu"))
    columns = torch.arange(32.0)
    shifts = []
    with torch.inference_mode():
        for x, _ in prepared(
            saved.net, saved.loader(read_data(recipe(data).data).frame, 1), 32, lambda row, why: None, 12
        ):
            both = saved.predictor(x), saved.predictor(x.flip(-1)).flip(-1)
            found = [resized(outputs, (32, 32)).argmax(dim=1) > 0 for outputs in both]
            middle = [(mask * columns).sum(dim=(1, 2)) / mask.sum(dim=(1, 2)).clamp(min=1) for mask in found]
            shifts.append(middle[1] - middle[0])
    assert abs(float(torch.cat(shifts).mean())) <= 1
