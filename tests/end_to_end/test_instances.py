"""Instance segmentation from COCO files: trained, resumed, evaluated, predicted, compared."""

import json
import signal
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

import whet
from whet.api import build_recipe
from whet.core.errors import DataError, RecipeError
from whet.core.masks import IGNORE_ID
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.data.media import loader_of
from whet.data.read import problem_of, read_data
from whet.evaluate.compare import compare_runs
from whet.evaluate.inference import run_inference
from whet.report import build_report
from whet.segments import write_segments
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.made_masks import with_made_masks
from whet.training.saved import SavedModel
from whet.training.session import Session
from whet.training.signals import Interrupted

SIDE, RADIUS = 48, 8
COLOURS = {1: [200, 60, 60], 2: [60, 60, 200]}

pytestmark = pytest.mark.usefixtures("painted")


def make_coco(folder, count=32):
    """Discs of two colours, two on each image, as COCO polygons."""
    (folder / "images").mkdir(parents=True)
    draws = Rng(4).batch("discs", 0, np.arange(count))
    y_N2, x_N2 = (np.stack([RADIUS + draws.integers(SIDE - 2 * RADIUS) for _ in range(2)], axis=1) for _ in range(2))
    kind_N2 = np.stack([1 + draws.integers(2) for _ in range(2)], axis=1)
    noise = draws.normal((SIDE, SIDE, 3))
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    images, annotations = [], []
    for i in range(count):
        pixels = 90 + 8 * noise[i]
        for y, x, k in zip(y_N2[i].tolist(), x_N2[i].tolist(), kind_N2[i].tolist()):
            pixels[np.hypot(rows - y, columns - x) < RADIUS] = COLOURS[k]
            outline = np.stack([x + RADIUS * np.cos(turn), y + RADIUS * np.sin(turn)], axis=1)
            annotations.append(
                {"id": len(annotations), "image_id": i, "category_id": k, "segmentation": [outline.ravel().tolist()]}
            )
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{i:02d}.png")
        images.append({"id": i, "file_name": f"images/{i:02d}.png", "height": SIDE, "width": SIDE})
    names = [{"id": 1, "name": "can"}, {"id": 2, "name": "glass"}]
    content = {"images": images, "annotations": annotations, "categories": names}
    (folder / "data.json").write_text(json.dumps(content))
    return folder / "data.json"


def recipe(data, *methods, budget="12ep", task="instance-segmentation", head="auto", **settings):
    return Recipe.from_dict(
        {
            "task": task,
            "data": {"path": str(data), "val_fraction": 0.2, "test_fraction": 0.25},
            "model": {"architecture": "resnet9_slim", "weights": "none", "head": head},
            "train": {
                "budget": budget, "batch_size": 4, "image_size": 48, "precision": "fp32", "torch_threads": 1,
                "loader_threads": 2, "seed": 0, **settings,
            },
            "methods": ["horizontal_flip", *methods, {"adamw": {"lr": 3e-3}}, "cosine"],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_coco(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train_run(recipe(data), tmp_path_factory.mktemp("runs") / "plain", report=build_report)


def test_the_data_say_their_task_and_a_person_may_say_another(data):
    assert problem_of(DataSpec(path=str(data))) == "instance-segmentation"
    assert build_recipe(str(data)).task == "instance-segmentation"
    assert build_recipe(str(data), task="semantic-segmentation").task == "semantic-segmentation"


def test_it_learns_and_says_so(run):
    found = json.loads(run.metrics.read_text())["test"]
    assert found["ap50"] > 0.5
    low, high = found["mask_ap_interval"]
    assert low <= found["mask_ap"] <= high
    assert found["objects"] == 2 * found["samples"]
    assert [row["name"] for row in found["per_class"]] == ["can", "glass"]
    assert [(row["name"], row["objects"]) for row in found["sizes"]] == [
        ("small", 2 * found["samples"]), ("medium", 0), ("large", 0),
    ]  # fmt: skip
    assert found["sizes"][0]["ap"] == pytest.approx(found["mask_ap"])
    assert found["sizes"][1]["ap"] is found["sizes"][2]["recall"] is None
    page = run.report.read_text(encoding="utf-8")
    assert "panoptic quality" in page
    assert "Objects by size" in page
    assert "Images with the lowest F1 of objects" in page
    assert (run.worst_images / "0-predicted.jpg").is_file()


def test_what_grouping_by_centres_is_worth(run, data):
    """The baselines group the same outputs: their AP is that of the statistics computed here from the saved model."""
    metrics = json.loads(run.metrics.read_text())
    found = metrics["test"]["groupings"]
    assert (found["images"], found["own"]) == (metrics["test"]["samples"], metrics["test"]["mask_ap"])
    saved, table = SavedModel(run.model, torch.device("cpu")), read_data(Recipe.load(run.recipe).data)
    part = table.for_problem("instance-segmentation").part("test")
    loader = loader_of(part.frame, part.medium, 1, task=part.task)
    for name, statistics in part.task.groupings.items():
        rows, index = run_inference(saved.net, saved.predictor, loader, saved.size, nullcontext, keep=statistics)
        value = part.task.metrics["mask_ap"].value(part.evidence(index, rows.numpy()))
        assert found["others"][name]["value"] == pytest.approx(value)
        gain = found["others"][name]["gain"]
        assert gain["mean"] == pytest.approx(found["own"] - value)
        assert gain["low"] <= gain["mean"] <= gain["high"]
    assert "What grouping by centres is worth" in run.report.read_text(encoding="utf-8")


def test_evaluate_gives_the_same_and_predict_writes_objects(run, data, tmp_path):
    loaded, metrics = whet.load(run.path), json.loads(run.metrics.read_text())
    assert loaded.evaluate(str(data))["samples"] == 32
    assert loaded.evaluate(part="test")["mask_ap"] == metrics["test"]["mask_ap"]
    folder = data.parent / "images"
    rows = list(write_segments(loaded.segment([str(folder)]), loaded.classes, tmp_path / "out"))
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert sum(row["count:can"] + row["count:glass"] for row in rows) == len(coco["annotations"])
    assert all(0 < one["score"] <= 1 for one in coco["annotations"])
    numbers = np.asarray(Image.open(tmp_path / "out" / "masks" / "00.png"))
    assert len(np.unique(numbers[numbers > 0])) == rows[0]["count:can"] + rows[0]["count:glass"]
    lines = (tmp_path / "out" / "objects.csv").read_text().splitlines()
    assert lines[0] == "file,mask,number,class,pixels,share,confidence"
    assert len(lines) == 1 + len(coco["annotations"])


@pytest.mark.slow
@pytest.mark.sample
def test_methods_train_and_runs_are_compared_by_their_images(run, data, tmp_path):
    other = train_run(
        recipe(data, "cutmix", "mosaic", "mixup", "copy_paste", "tiles", "rotate", "ema", "tta", budget="2ep"),
        tmp_path / "other",
    )
    _, (found,), samples = compare_runs([run, other], "mask_ap")
    assert samples == 8
    assert found.difference.low <= found.difference.mean <= found.difference.high


@pytest.mark.slow
@pytest.mark.sample
def test_the_head_with_networks_for_masks(run, data, tmp_path):
    """With the methods that mix, flip and average. A run that is cut off and resumed ends bit-identical; it is compared with the
    other head's."""

    class Stopper(Observer):
        def step(self, record):
            if record["step"] == 7:
                signal.raise_signal(signal.SIGINT)

    methods = ("cutmix", "mosaic", "mixup", "copy_paste", "ema", {"tta": {"vertical_flip": True}})
    asked = recipe(data, *methods, head="cond_inst", budget="2ep")
    done = train_run(asked, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_run(asked, tmp_path / "cut", observer=Stopper())
    resume_run(tmp_path / "cut")
    assert (tmp_path / "cut/model/whet.safetensors").read_bytes() == (done.model / "whet.safetensors").read_bytes()
    loaded, measured = whet.load(done.path), json.loads(done.metrics.read_text())["test"]
    assert loaded.evaluate(part="test")["mask_ap"] == measured["mask_ap"]
    assert all(one.found is not None for one in loaded.segment([str(data.parent / "images")]))
    _, _, samples = compare_runs([run, done], "mask_ap")
    assert samples == 8


def from_boxes(data, method, head="auto"):
    found = recipe(data, method, head=head, budget="1ep")
    return found.replace(data=found.data.replace(masks=found.data.masks.replace(supervision="boxes")))


def test_boxes_train_the_head_that_takes_them(data, tmp_path):
    """With the colours of the pixels inside; validated and tested on whole masks."""
    with pytest.raises(RecipeError, match=r"have boxes in place of masks.*box_fill, grabcut; .*--head cond_inst"):
        train_run(from_boxes(data, "color_pairs"), tmp_path / "refused")
    done = train_run(from_boxes(data, "color_pairs", "cond_inst"), tmp_path / "run")
    metrics = json.loads(done.metrics.read_text())
    assert metrics["test"]["objects"] == 2 * metrics["test"]["samples"]
    assert not any("no effect" in note for note in map(str, metrics["notes"]))


def test_the_objects_that_are_found_in_boxes_train_any_head(data, tmp_path):
    """Their classes stay, and most have nearly the pixels of their real masks; some are covered by others."""
    asked = from_boxes(data, "grabcut")
    done = train_run(asked, tmp_path / "run")
    assert json.loads(done.metrics.read_text())["made_masks"]["grabcut"]["steps"]["grabcut"]["mean_iou"] > 0.9
    overlaps = []
    for row in with_made_masks(done, read_data(asked.data).for_problem(asked.task)).part("train").frame.itertuples():
        found, real = row.masks.id_map(), row.real_masks.id_map()
        assert len(found) == len(real) == 2
        for k in (1, 2):
            here, there = found.ids_HW == k, real.ids_HW == k
            known = found.ids_HW != IGNORE_ID
            assert found.class_of_id[k - 1] == real.class_of_id[k - 1]
            overlaps.append((here & there).sum() / ((here | there) & known).sum())
    assert np.median(overlaps) > 0.9


def test_the_same_data_train_semantic_segmentation(data, tmp_path):
    done = train_run(recipe(data, task="semantic-segmentation", budget="1ep"), tmp_path / "run")
    found = json.loads(done.metrics.read_text())["test"]
    assert "mean_iou" in found
    assert "groupings" not in found


def test_masks_of_classes_are_refused(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i in range(12):
        pixels = np.zeros((32, 32), np.uint8)
        pixels[4 : 10 + i, 4:20] = 1
        Image.fromarray(pixels * 200).save(tmp_path / "data" / "images" / f"{i}.png")
        Image.fromarray(pixels).save(tmp_path / "data" / "masks" / f"{i}.png")
    refused = (
        r"12 of 12 images.*0\.png: it holds classes.*can train --task semantic-segmentation.*COCO JSON.*instances/"
    )
    with pytest.raises(DataError, match=refused):  # before a network is built
        Session(RunFolder(tmp_path / "run"), Observer(), time.monotonic, None, None).read(recipe(tmp_path / "data"))
