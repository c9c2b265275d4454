"""The commands for images with masks: what is compared, chosen, checked, refused and read is that of the task."""

import csv
import json
from pathlib import Path

import pytest
import torch
from tests.end_to_end.test_segmentation import CLASSES, make_pairs, recipe

import whet
from whet import recipes
from whet.api import build_recipe
from whet.checking import check
from whet.cli import predict
from whet.cli.options import reads_data
from whet.core.errors import RecipeError, RunError
from whet.core.spec import DataSpec, ModelSpec
from whet.evaluate.compare import group_runs
from whet.improvement.comparison import merit
from whet.training.job import train_run
from whet.training.precision import choose_precision
from whet.training.saved import SavedModel


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_pairs(tmp_path_factory.mktemp("masks"))
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


@pytest.fixture(scope="module")
def improved(data, tmp_path_factory):
    """Two recipes with two seeds each, as small as they can be."""
    root = tmp_path_factory.mktemp("improve")
    plain, strong = recipe(data), recipe(data, "ema")
    found = whet.improve(
        DataSpec(path=str(data), val_fraction=0.2, test_fraction=0.25), plain=plain, strong=strong, budget="1ep", seeds=2,
         studying=False, tuning=False, out=root / "out",
    )  # fmt: skip
    return root, found


def test_improve_compares_and_chooses_by_the_mean_iou(improved):
    root, found = improved
    story = json.loads((root / "out" / "improvement.json").read_text())
    assert found.metric == "mean_iou"
    assert story["metric"] == story["chosen_by"] == "mean IoU"
    assert story["columns"] == ["mean IoU", "mean Dice"]
    assert {row["name"] for row in story["per_class"]} == set(CLASSES)
    assert story["ensemble"]["runs"] == 2
    runs = {name: [whet.load(root / "out" / f"{name}-s{seed}") for seed in (0, 1)] for name in ("plain", "strong")}
    for name, both in runs.items():
        assert found.values[name] == pytest.approx(sum(run.metrics["test"]["mean_iou"] for run in both) / 2)
    best = max((run for both in runs.values() for run in both), key=lambda run: run.metrics["val"]["mean_iou"])
    assert merit(best.folder, "mean_iou") == (best.metrics["val"]["mean_iou"],) * 2
    assert "Images with the lowest IoU" in found.report.read_text(encoding="utf-8")


def test_runs_are_compared_by_the_headline_of_their_task(improved):
    root, _ = improved
    runs = [whet.load(root / "out" / f"{name}-s0") for name in ("plain", "strong")]
    reference, (found,) = whet.compare(*runs)
    assert reference.metric == "mean_iou"
    assert found.difference.mean == pytest.approx(
        runs[1].metrics["test"]["mean_iou"] - runs[0].metrics["test"]["mean_iou"]
    )
    (group,) = group_runs([runs[0].folder])
    assert 0 <= group.interval[0] <= group.value_S[0] <= group.interval[1] <= 1
    with pytest.raises(RunError, match=r"macro_f1.*mean_iou"):
        whet.compare(*runs, metric="macro_f1")


def test_what_masks_cannot_do_is_refused_in_words(improved, data, tmp_path):
    root, _ = improved
    runs = [root / "out" / f"{name}-s0" for name in ("plain", "strong")]
    with pytest.raises(RecipeError, match=r"--out masks\.csv.*folder"):
        predict.command(runs[0], [str(data / "images")], out=Path("masks.csv"))
    with pytest.raises(RunError, match=r"give the images to explain; the report shows those with the lowest IoU"):
        whet.load(runs[0]).explain()


def test_the_pixels_of_a_class_are_explained(improved, data, tmp_path):
    root, _ = improved
    run = whet.load(root / "out" / "plain-s0")
    path = str(data / "images" / "00.png")
    found = run.explain([path], class_name="can")
    (one,) = found
    assert one.explained == "can" and one.explanation.heat_HW.shape == one.explanation.image.shape[:2]
    area = run.predict([path])
    assert one.probs == pytest.approx({name: area[f"area:{name}"].iloc[0] for name in CLASSES}, abs=1e-6)
    found.save(tmp_path / "why.html", language="en")
    assert "pixels predicted as the class" in (tmp_path / "why.html").read_text(encoding="utf-8")
    (usual,) = run.explain([path])
    shares = {name: share for name, share in one.probs.items() if name != CLASSES[0]}
    assert usual.explained == (max(shares, key=shares.get) if any(shares.values()) else CLASSES[0])


def test_the_probe_of_the_precision_takes_maps(improved, monkeypatch):
    root, _ = improved
    saved = SavedModel(root / "out" / "plain-s0" / "model", torch.device("cpu"))
    monkeypatch.setattr("whet.training.precision.has_bf16", lambda device: True)
    assert choose_precision(saved.net, torch.device("cpu"), 32, batch=2, repeats=1) in ("bf16", "fp32")


def test_check_of_masks(tmp_path):
    """Findings about masks instead of those about labels; a split list instead of a table."""
    data = make_pairs(tmp_path / "data")
    (data / "classes.txt").write_text("\n".join(CLASSES))
    (data / "images" / "35.png").write_bytes((data / "images" / "33.png").read_bytes())
    for stem in ("30", "31"):
        (data / "masks" / f"{stem}.png").unlink()
    found = check(str(data), out=tmp_path / "check")
    kinds = {finding.kind for finding in found.findings}
    assert {"unreadable", "classes", "exact duplicates"} <= kinds
    assert not kinds & {"label sets", "label dependence", "uneven classes", "few train samples"}
    assert not found.probes
    assert any("(--weights)" in finding.text for finding in found.findings if finding.kind == "not searched")
    unusable = next(finding for finding in found.findings if finding.kind == "unreadable")
    assert unusable.severity == "problem" and len(unusable.groups) == 2  # train refuses these data, check tells why
    classes = next(finding.text for finding in found.findings if finding.kind == "classes")
    assert "can: " in classes and "% of the pixels" in classes
    assert [finding.text for finding in found.findings].count(f"names of classes: {data / 'classes.txt'}") == 1
    page = found.page.read_text(encoding="utf-8")
    assert "images with masks" in page and "--split-file cleaned.csv" in page
    with (tmp_path / "check" / "cleaned.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"id", "split"} <= rows[0].keys() and {row["id"] for row in rows} <= {
        f"images/{n:02d}.png" for n in range(36)
    }
    check(str(data), out=tmp_path / "check", force=True)


def test_the_task_and_the_head_can_be_said(data):
    assert build_recipe(str(data)).task == "semantic-segmentation"
    spec, model = DataSpec(path=str(data)), ModelSpec(architecture="resnet9_slim", weights="none")
    assert recipes.for_comparison(spec, model).task == "semantic-segmentation"
    assert recipes.obvious(spec, ModelSpec()) == {}
    by_labels = build_recipe(str(data), task="image-classification", architecture="resnet9_slim", weights="none")
    assert by_labels.task == "image-classification" and "label_smoothing" in by_labels
    assert build_recipe(str(data), head="unet").model.head == "unet"
    with pytest.raises(RecipeError, match=r"text-classification.*semantic-segmentation"):
        build_recipe(str(data), task="text-classification")
    with pytest.raises(RecipeError, match="semantic-segmentation"):
        build_recipe(str(data), task="semantic-segmentatio")


def test_options_say_how_masks_are_read():
    seen = {}

    @reads_data
    def command(*, reading: dict):
        seen.update(reading)

    command(mask_classes="background, can", mask_ignore=7, file_column=None)
    assert DataSpec(path="x", **seen).masks.model_dump(exclude_unset=True) == {
        "classes": ("background", "can"), "ignore": 7,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_trains_with_the_learning_rate_finder_and_zooms(painted, data, tmp_path):
    named = recipe(data, {"lr_finder": {"steps": 30}}, {"tta": {"zooms": [1.25]}}, budget="1ep")
    done = train_run(named, tmp_path / "run")
    assert 0 <= json.loads(done.metrics.read_text())["test"]["mean_iou"] <= 1
