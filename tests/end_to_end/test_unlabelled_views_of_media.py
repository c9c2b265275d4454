"""Methods that learn from views of unlabelled samples, in strict runs from start to end: masks, texts and audio clips."""

import csv

import pytest
from tests.end_to_end import test_segmentation
from tests.end_to_end.test_audio_runs import write_audio
from tests.end_to_end.test_texts import write_texts

from whet.core.recipe import Recipe
from whet.training.job import train_run


def trained(task, data, more, architecture, method, out):
    train = {"budget": "3st", "batch_size": 8, "precision": "fp32", "torch_threads": 1}
    plain = {
        "task": task, "data": {"path": str(data), "unlabelled": str(more)}, "train": train,
        "model": {"architecture": architecture, "weights": "none"}, "methods": [{"adamw": {"lr": 0.01}}, method],
    }  # fmt: skip
    return train_run(Recipe.from_dict(plain), out, strict=True)


def losses(run):
    return [record["loss"] for record in run.log_records() if record["event"] == "step"]


@pytest.mark.parametrize("method", [{"fixmatch": {"threshold": 0.0}}, "mean_teacher"], ids=["fixmatch", "mean_teacher"])
@pytest.mark.slow
def test_masks(tmp_path, method):
    data = test_segmentation.make_pairs(tmp_path / "data")
    more = test_segmentation.make_pairs(tmp_path / "more", count=12, size=(44, 40)) / "images"
    found = test_segmentation.recipe(data, method, budget="2st")
    run = train_run(found.replace(data=found.data.replace(unlabelled=str(more))), tmp_path / "run", strict=True)
    assert len(losses(run)) == 2 and "mean_iou" in run.read_json(run.metrics)["test"]


@pytest.mark.slow
def test_texts(tmp_path):
    data = write_texts(tmp_path / "texts.csv")
    with (tmp_path / "more.csv").open("w", newline="", encoding="utf-8") as handle:
        rows = [[f"Here is {word} {number} again, is it not?"] for number in range(9) for word in ("a jar", "a can")]
        csv.writer(handle).writerows([["text"], *rows])
    run = trained("text-classification", data, tmp_path / "more.csv", "fast_text", "softmatch", tmp_path / "run")
    assert len(losses(run)) == 3


@pytest.mark.slow
def test_audio_clips(tmp_path):
    data, more = write_audio(tmp_path / "data", 12), write_audio(tmp_path / "more", 14)
    run = trained("audio-classification", data, more, "audio_cnn", "adamatch", tmp_path / "run")
    assert len(losses(run)) == 3
