import numpy as np
import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError, RecipeError
from whet.core.masks import IGNORE, Masks, Shape
from whet.core.recipe import Recipe
from whet.core.spec import ModelSpec
from whet.methods import CamToMask
from whet.methods.weak.cam import Activations
from whet.methods.weak.cam_to_mask import _OfClassifier
from whet.methods.weak.pamr import refine
from whet.models.build import build_net
from whet.models.net import Net, NetSpec


def test_refinement_gives_the_region_of_a_two_coloured_image():
    """A seed in a corner of the red square fills it, and nothing leaves it."""
    rgb = torch.zeros(1, 3, 64, 64)
    rgb[:, 1], inside = 0.8, torch.zeros(64, 64, dtype=torch.bool)
    inside[16:48, 20:44] = True
    rgb[:, :, inside] = torch.tensor([0.9, 0.1, 0.1])[:, None]
    seed = torch.zeros(1, 2, 64, 64)
    seed[0, 1, 16:30, 20:36] = 1
    seed[0, 0] = 1 - seed[0, 1]
    found = refine(seed, rgb)
    assert torch.allclose(found.sum(dim=1), torch.ones(1, 64, 64), atol=1e-4)  # means of neighbours keep the sum
    assert found[0, 1][~inside].max() < 0.01
    assert found[0, 1][inside].min() > 0.05
    region = found[0, 1] / found[0, 1].max() > 0.2
    assert (region & inside).sum() / (region | inside).sum() > 0.95


def test_one_round_is_the_weighted_mean_of_the_neighbours():
    torch.manual_seed(0)
    rgb, mask = torch.rand(1, 3, 5, 6), torch.rand(1, 1, 5, 6)
    found = refine(mask, rgb, iterations=1, dilations=(1, 2))
    y, x = 2, 3
    places = [
        (min(max(y + d * dy, 0), 4), min(max(x + d * dx, 0), 5))
        for d in (1, 2) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
    ]  # fmt: skip
    here = rgb[0, :, y, x]
    around = torch.stack([rgb[0, :, a, b] for a, b in places])
    spread = torch.cat([around, here.expand(2, 3)]).std(dim=0)
    weight = (-((around - here).abs() / (1e-8 + 0.1 * spread)).mean(dim=1)).softmax(dim=0)
    expected = sum(w * mask[0, 0, a, b] for w, (a, b) in zip(weight, places))
    assert torch.allclose(found[0, 0, y, x], expected, atol=1e-5)


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


def test_only_classes_of_the_image_get_masks_and_doubt_is_ignored():
    net = classifier()
    maker = _OfClassifier(CamToMask(scales=(0.5,)), Activations(net), [0, 1, 2], 128, net.device)
    steps = maker(image(), labelled(1))
    assert list(steps) == ["seed", "refined"]
    for found in steps.values():
        assert found.shape == (96, 128) and set(np.unique(found)) <= {0, 1, IGNORE}
        assert (found[40:56, 40:72] == 1).all() and (found[:, 110:] == 0).all()
    refined = steps["refined"]
    real = np.zeros((96, 128))
    real[32:64, 32:80] = 1
    known = refined != IGNORE
    assert ((refined == real) & known).sum() / known.sum() > 0.98


def test_a_network_whose_features_are_no_pooled_map_is_refused():
    with pytest.raises(RecipeError, match="not the mean or the maximum over a map"):
        Activations(classifier(pooled=False))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet9_slim"])
def test_the_map_of_a_backbone_is_found(name):
    net, _ = build_net(ModelSpec(architecture=name, weights="none"), ("a", "b"), "image", (), 0, "single-label")
    maps = Activations(net)
    found = maps.of(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8), [0, 1], [128], (32, 32))
    assert found.shape == (2, 32, 32) and found.isfinite().all()


def test_it_follows_a_classifier_and_in_further_rounds_itself():
    asked = Recipe.from_dict(
        {"task": "semantic-segmentation", "train": {"budget": "9m"}, "model": {"head": "fpn"},
         "methods": ["horizontal_flip", "dice", "adamw", {"cam_to_mask": {"rounds": 1}}]}
    )  # fmt: skip
    first = asked.method("cam_to_mask").predecessor(asked)
    assert first.task == "semantic-segmentation" and first.method("cam_to_mask").rounds == 0
    assert first.train.budget.seconds == 6 * 60
    before = first.method("cam_to_mask").predecessor(first)
    assert before.task == "image-classification" and before.model.head == "auto"
    assert [method.name for method in before.methods] == ["horizontal_flip", "adamw"]
    assert before.train.budget.seconds == 3 * 60
    with pytest.raises(NoEffectError):
        asked.method("cam_to_mask").mask_maker(None, ())
