"""A segmenter of transformers in whole runs: with its decoder, frozen, with low-rank updates, and resumed."""

import json
import signal

import numpy as np
import pytest
import torch
from tests.end_to_end.test_instances import make_coco
from tests.end_to_end.test_instances import recipe as instances
from tests.end_to_end.test_segmentation import make_pairs, recipe
from tests.models.kinds import SEGMENTERS

import whet
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.models import load_net
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.signals import Interrupted


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("masks"), count=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    SEGMENTERS["segformer (with decoder)"].save(folder)
    return str(folder)


def of(folder, data, *methods, **settings):
    return recipe(data, *methods, model={"architecture": folder, "weights": folder}, image_size=64, **settings)


@pytest.mark.slow
@pytest.mark.sample
def test_it_learns_is_resumed_and_says_its_head(data, folder, tmp_path):
    class Stopper(Observer):
        def step(self, record):
            if record["step"] == 4:
                signal.raise_signal(signal.SIGINT)

    done = train_run(of(folder, data, budget="3ep"), tmp_path / "run")
    assert Recipe.load(done.recipe).model.head == "own"
    with pytest.raises(Interrupted):
        train_run(of(folder, data, budget="3ep"), tmp_path / "cut", observer=Stopper())
    resumed = resume_run(tmp_path / "cut")
    assert (resumed.model / "model.safetensors").read_bytes() == (done.model / "model.safetensors").read_bytes()
    assert json.loads(resumed.metrics.read_text())["test"] == json.loads(done.metrics.read_text())["test"]


@pytest.mark.parametrize(
    "methods",
    [
        ({"freeze": {"share": 0.5}}, "dice", "ema", "tta", "mixup"),
        ("lora", "discriminative_lr", "cutmix"),
        ({"finetune": {"few_epochs": "keep"}}, "layerwise_lr", "class_weight", {"tiles": {"window": 32}}),
    ],
)
def test_methods_train(methods, data, folder, tmp_path):
    done = train_run(of(folder, data, *methods, budget="1ep"), tmp_path / "run")
    assert np.isfinite(json.loads(done.metrics.read_text())["test"]["mean_iou"])
    with torch.no_grad():
        assert load_net(done.model)(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 16, 16)


def test_coarse_classifiers_need_maps_of_ours(data, folder, tmp_path):
    with pytest.raises(RecipeError, match="deep_supervision needs the feature maps of a head of whet"):
        train_run(of(folder, data, "deep_supervision", budget="1ep"), tmp_path / "run")


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queries")
    SEGMENTERS["mask2former"].save(folder)
    return str(folder)


def objects(data, queries, *methods, **settings):
    found = instances(data, *methods, budget="2ep", image_size=64, **settings)
    return found.replace(model=found.model.replace(architecture=queries, weights=queries))


@pytest.mark.slow
@pytest.mark.sample
def test_queries_find_objects_in_whole_runs(queries, tmp_path, painted):
    """With the methods that mix, flip and average. The head is that of the folder without being named. A run that is cut off and
    resumed ends bit-identical; the saved model predicts the same, and its objects are written."""

    class Stopper(Observer):
        def step(self, record):
            if record["step"] == 3:
                signal.raise_signal(signal.SIGINT)

    data = make_coco(tmp_path / "data", count=16)
    asked = objects(data, queries, "cutmix", "mosaic", "mixup", "copy_paste", "ema", "tta")
    done = train_run(asked, tmp_path / "whole")
    assert Recipe.load(done.recipe).model.head == "own"
    with pytest.raises(Interrupted):
        train_run(asked, tmp_path / "cut", observer=Stopper())
    resumed = resume_run(tmp_path / "cut")
    assert (resumed.model / "model.safetensors").read_bytes() == (done.model / "model.safetensors").read_bytes()
    measured = json.loads(done.metrics.read_text())["test"]
    assert json.loads(resumed.metrics.read_text())["test"] == measured
    loaded = whet.load(done.path)
    assert loaded.evaluate(part="test")["mask_ap"] == measured["mask_ap"]
    assert all(one.found is not None for one in loaded.segment([str(data.parent / "images")]))


def test_windows_of_queries_cannot_be_blended(queries, tmp_path):
    with pytest.raises(
        RecipeError, match=r"'tiles' does not apply to samples with a mask for every object .model.head = own"
    ):
        train_run(objects(make_coco(tmp_path / "data", count=12), queries, "tiles"), tmp_path / "run")


def test_a_network_without_a_decoder_has_no_own_head(tmp_path):
    with pytest.raises(
        RecipeError, match=r"model.head = own: resnet9_slim brings no decoder; accepted: centre_offset, cond_inst"
    ):
        train_run(instances(make_coco(tmp_path / "data", count=12), head="own"), tmp_path / "run")
