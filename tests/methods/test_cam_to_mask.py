import numpy as np
import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError, RecipeError
from whet.core.masks import Masks, Shape
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.methods import CamToMask
from whet.methods.weak.cam import Activations
from whet.methods.weak.cam_to_mask import _OfClassifier
from whet.methods.weak.cut import cut
from whet.models.build import build_net
from whet.models.net import Net, NetSpec


class Colours(nn.Module):
    """Features: the mean redness and blueness of the image, from a map of stride 4."""

    def __init__(self, pooled=True):
        super().__init__()
        self.map = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        with torch.no_grad():
            self.map.weight.zero_()
            self.map.weight[0, 0] = self.map.weight[1, 2] = 1 / 16
        self.pooled = pooled

    def forward(self, x):
        found = self.map(x)
        return found.mean(dim=(2, 3)) if self.pooled else found.std(dim=(2, 3))


def classifier(pooled=True):
    head = nn.Linear(2, 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0, 0], [1, -1], [-1, 1]]))
    spec = NetSpec("zoo", "colours", ("background", "red", "blue"), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Net(spec, Colours(pooled), head)


def image():
    pixels = np.full((96, 128, 3), 100, np.uint8)
    pixels[32:64, 32:80] = (240, 20, 20)
    pixels[64:90, 96:120] = (20, 20, 240)
    return pixels


def labelled(*numbers):
    return Masks((96, 128), tuple(Shape(k, kind="label") for k in numbers))


def test_activations_are_high_where_the_class_is_and_mirrored_images_agree():
    found = Activations(classifier()).of(image(), [1, 2], [64, 96], (96, 128))
    assert found.shape == (2, 96, 128) and torch.allclose(found.amax(dim=(1, 2)), torch.ones(2))
    assert found[0, 40:56, 40:72].min() > 0.8 and found[0, :, 100:].max() < 0.05
    assert found[1, 70:84, 100:116].min() > 0.8 and found[1, :56].max() < 0.05


def test_only_classes_of_the_image_get_masks_and_the_cut_follows_the_edges():
    net = classifier()
    maker = _OfClassifier(CamToMask(scales=(0.5,)), Activations(net), [0, 1, 2], 128)
    steps = maker(image(), labelled(1))
    assert list(steps) == ["seed", "cut"]
    real = np.zeros((96, 128), bool)
    real[32:64, 32:80] = True
    for found in steps.values():
        assert found.shape == (96, 128) and set(np.unique(found)) == {0, 1}
        assert (found[40:56, 40:72] == 1).all()
    overlap = {step: ((found == 1) & real).sum() / ((found == 1) | real).sum() for step, found in steps.items()}
    assert overlap["cut"] > 0.97 > overlap["seed"]


def test_an_image_without_objects_is_background_and_two_classes_are_told_apart():
    net = classifier()
    maker = _OfClassifier(CamToMask(scales=(0.5,)), Activations(net), [0, 1, 2], 128)
    assert not maker(image(), labelled())["cut"].any()
    found = maker(image(), labelled(1, 2))["cut"]
    assert (found[36:60, 36:76] == 1).all() and (found[68:86, 100:116] == 2).all() and not found[:28].any()


def test_the_object_in_a_photo_is_found_where_the_evidence_is_only_a_part_of_it():
    """The cut: one corner of a disc is known, and that the border of the photo is not of the object."""
    rows, columns = np.mgrid[:80, :100]
    disc = np.hypot(rows - 40, columns - 50) < 22
    noise = 8 * Rng(2).batch("cut", 0, np.arange(1)).normal((80, 100, 3))[0]
    pixels = np.where(disc[..., None], (200, 60, 40), (90, 110, 90)) + noise
    corner, rim = disc & (rows < 34) & (columns < 46), np.ones((80, 100), bool)
    rim[2:-2, 2:-2] = False
    found = cut(pixels.clip(0, 255).astype(np.uint8), corner, rim, 3, 100)
    assert (found & disc).sum() / (found | disc).sum() > 0.9


def test_a_network_whose_features_are_no_pooled_map_is_refused():
    with pytest.raises(RecipeError, match="not the mean or the maximum over a map"):
        Activations(classifier(pooled=False))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet9_slim"])
def test_the_map_of_a_backbone_is_found(name):
    with Rng(0).torch_scope("init"):  # features that are all zero are of no map
        net, _ = build_net(ModelSpec(architecture=name, weights="none"), ("a", "b"), "image", (), 0, "single-label")
    maps = Activations(net)
    found = maps.of(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8), [0, 1], [128], (32, 32))
    assert found.shape == (2, 32, 32) and found.isfinite().all()


def test_it_follows_a_classifier_and_in_further_rounds_itself():
    asked = Recipe.from_dict(
        {"task": "semantic-segmentation", "train": {"budget": "7m"}, "model": {"head": "fpn"},
         "methods": ["horizontal_flip", "dice", "adamw", {"cam_to_mask": {"rounds": 1}}]}
    )  # fmt: skip
    first = asked.method("cam_to_mask").predecessor(asked)
    assert first.task == "semantic-segmentation" and first.method("cam_to_mask").rounds == 0
    assert first.train.budget.seconds == 4 * 60
    before = first.method("cam_to_mask").predecessor(first)
    assert before.task == "image-classification" and before.model.head == "auto"
    assert [method.name for method in before.methods] == ["horizontal_flip", "adamw"]
    assert before.train.budget.seconds == pytest.approx(60)
    with pytest.raises(NoEffectError):
        asked.method("cam_to_mask").mask_maker(None, ())
