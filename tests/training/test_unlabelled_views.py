"""The views of unlabelled samples, and their way through the network."""

import numpy as np
import pytest
import torch

from whet.core.batch import HiddenMix
from whet.core.errors import RecipeError
from whet.core.masks import IGNORE
from whet.core.method import Unlabelled
from whet.methods import AdamW, Brightness, FixMatch, HorizontalFlip, LinearProbe, Rotate, SpecAugment, TimeMask
from whet.testing.bench import make_bench
from whet.training.forward import forward
from whet.training.source import can_cache_features
from whet.training.unlabelled_views import requested_views

MASKS = "semantic-segmentation"


def views_of(*methods, task="image-classification"):
    return make_bench((*methods, AdamW()), task).batch(0).unlabelled.views


def test_views_of_masks_show_the_same_part_of_the_image():
    moving = (HorizontalFlip(prob=0.5), Rotate(max_degrees=40))
    views = views_of(FixMatch(strong=[]), *moving, task=MASKS)
    assert torch.equal(views["weak"], views["strong"])
    views = views_of(FixMatch(strong=["invert"]), *moving, task=MASKS)
    inverted = (views["weak"] + views["strong"]).abs()  # black + white, normalised: 255 - x is -x about the middle
    assert inverted.flatten(1).amax(dim=1).min() < 0.02 and not torch.equal(views["weak"], views["strong"])


def test_views_of_classes_are_drawn_apart():
    views = views_of(FixMatch(strong=[]), HorizontalFlip(prob=0.5), Rotate(max_degrees=40))
    assert (views["weak"] != views["strong"]).flatten(1).any(dim=1).all()


def test_a_strong_view_of_masks_must_not_move_pixels():
    with pytest.raises(RecipeError, match="view 'strong' of unlabelled images: rotate may move pixels"):
        views_of(FixMatch(strong=["rotate"]), task=MASKS)


def test_unlabelled_images_have_no_pixels_to_learn():
    targets = make_bench((FixMatch(),), MASKS).batch(0).unlabelled.targets
    assert (targets.label_MBHW == IGNORE).all()


def test_a_method_of_a_view_takes_the_place_of_those_it_conflicts_with():
    found = requested_views({"a": Unlabelled(1.0, {"weak": (), "strong": (SpecAugment(),)})}, [TimeMask()])
    assert found == {"weak": (TimeMask(),), "strong": (SpecAugment(),)}


@pytest.fixture
def bench():
    bench = make_bench((FixMatch(strong=(Brightness(),)),))
    bench.plan.net.train()
    return bench


def test_all_samples_share_the_statistics_of_batch_norm(bench):
    net, batch = bench.plan.net, bench.batch(0)
    norm = next(one for one in net.modules() if isinstance(one, torch.nn.BatchNorm2d))
    views = batch.unlabelled.views
    before = norm.running_mean.clone()
    outputs = forward(bench.plan, net, batch)
    changed = norm.running_mean.clone()
    norm.running_mean.copy_(before)
    expected = net(torch.cat([batch.x, views["strong"], views["weak"]]))
    assert torch.equal(norm.running_mean, changed)
    B, U = len(batch), len(views["weak"])
    assert torch.equal(outputs.logits_BK, expected[:B]) and outputs.features.shape == (B, 4)
    assert torch.equal(outputs.views["strong"], expected[B : B + U])
    assert torch.equal(outputs.views["weak"], expected[B + U :])
    assert outputs.views["strong"].requires_grad and not outputs.views["weak"].requires_grad


@pytest.mark.parametrize("why", ["fixed statistics", "mixed hidden states"])
def test_otherwise_each_view_passes_on_its_own(bench, why):
    net, batch = bench.plan.net, bench.batch(0)
    if why == "fixed statistics":
        net.eval()
    else:
        batch = batch.replace(hidden_mix=(HiddenMix(0.0, lambda hidden: hidden + hidden.flip(0)),))
    outputs = forward(bench.plan, net, batch)
    for name in ("weak", "strong"):
        assert torch.allclose(outputs.views[name], net(batch.unlabelled.views[name]), atol=1e-6)
    assert outputs.views["strong"].requires_grad and not outputs.views["weak"].requires_grad
    assert torch.allclose(outputs.logits_BK, net(batch.x), atol=1e-6) == (why == "fixed statistics")


def test_features_are_not_kept_beside_views():
    frozen = make_bench((LinearProbe(),)).plan
    with_views = make_bench((LinearProbe(), FixMatch())).plan
    assert frozen.net.backbone_frozen and with_views.net.backbone_frozen
    assert can_cache_features(frozen, frozen.net) and not can_cache_features(with_views, with_views.net)
    step = make_bench((LinearProbe(), FixMatch(threshold=0.0)))
    before = [parameter.clone() for parameter in step.plan.net.head.parameters()]
    from whet.testing.bench import train_steps

    train_steps(step, 1)
    assert all(np.isfinite(one.detach().numpy()).all() for one in step.plan.net.head.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, step.plan.net.head.parameters()))
