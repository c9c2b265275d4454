"""Training on boxes, points and classes of images: the masks that are made, and that a resumed run is the same."""

import signal

import pytest
from tests.end_to_end.test_segmentation import make_pairs, recipe

from whet.core.errors import RecipeError
from whet.core.masks import IGNORE
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.data.read import read_data
from whet.methods import Grabcut
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.made_masks import with_made_masks
from whet.training.signals import Interrupted


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("weak"))


def weakly(data, supervision, *methods, **settings):
    found = recipe(data, *methods, **settings)
    return found.replace(data=found.data.replace(masks=found.data.masks.replace(supervision=supervision)))


def made(run):
    return run.read_json(run.metrics)["made_masks"]


def test_boxes_become_masks_that_are_kept_and_measured(data, tmp_path):
    asked = weakly(data, "boxes", "grabcut", budget="3ep")
    run = train_run(asked, tmp_path / "run")
    steps = made(run)["grabcut"]
    assert steps["images"] == 20 and steps["steps"]["grabcut"]["mean_iou"] > 0.97  # the objects are red and blue boxes
    assert len(list(run.made_masks.glob("*.png"))) == 20
    trained_on = with_made_masks(run, read_data(asked.data)).part("train").frame
    for row in trained_on.itertuples():
        map_HW, real_HW = row.masks.class_map(), row.real_masks.class_map()
        assert ((map_HW == real_HW) | (map_HW == IGNORE) | (real_HW == IGNORE)).mean() > 0.97
    metrics = run.read_json(run.metrics)
    assert any("made the masks of 20 training images" in note for note in metrics["notes"])


def test_without_a_method_boxes_and_classes_are_refused_with_the_names_of_those_that_help(data, tmp_path):
    for supervision, names in (("boxes", "box_fill, grabcut"), ("labels", "cam_to_mask, label_fill")):
        with pytest.raises(RecipeError, match=names):
            train_run(weakly(data, supervision), tmp_path / supervision)


def test_points_are_trained_on_as_they_are(data, tmp_path):
    run = train_run(weakly(data, "points", {"color_pairs": {"warmup": 0.0}}, budget="1ep"), tmp_path / "run")
    assert "made_masks" not in run.read_json(run.metrics)


@pytest.mark.slow
@pytest.mark.sample
def test_a_resumed_run_trains_on_the_masks_of_its_folder(data, tmp_path, monkeypatch):
    class Stopper(Observer):
        def step(self, record):
            if record["step"] == 8:
                signal.raise_signal(signal.SIGINT)

    asked = weakly(data, "boxes", "grabcut", budget="4ep")
    whole, cut = train_run(asked, tmp_path / "whole"), tmp_path / "cut"
    with pytest.raises(Interrupted):
        train_run(asked, cut, observer=Stopper())
    monkeypatch.setattr(Grabcut, "mask_maker", lambda *given: pytest.fail("the masks are made again"))
    resume_run(cut)
    assert (cut / "model" / "whet.safetensors").read_bytes() == (whole.model / "whet.safetensors").read_bytes()
    assert made(RunFolder(cut)) == made(whole)


@pytest.mark.slow
def test_classes_of_images_become_masks_by_a_classifier_and_a_further_round(data, tmp_path):
    method = {"cam_to_mask": {"scales": [1.0, 2.0], "rounds": 1}}
    run = train_run(weakly(data, "labels", method, budget="2ep"), tmp_path / "run")
    before = RunFolder(run.external_models / "cam_to_mask")
    first = RunFolder(before.external_models / "cam_to_mask")
    tasks = [Recipe.load(one.recipe).task for one in (first, before, run)]
    assert tasks == ["image-classification", "semantic-segmentation", "semantic-segmentation"]
    assert list(made(before)["cam_to_mask"]["steps"]) == ["seed", "cut"]
    assert list(made(run)["cam_to_mask"]["steps"]) == ["predicted", "cut"]
    assert run.read_json(run.metrics)["test"]["mean_iou"] > 0
