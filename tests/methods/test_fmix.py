import numpy as np
import pytest
import torch

from whet.core.rng import Rng
from whet.methods import FMix
from whet.methods.mix.fmix import random_fields


def test_target_share_is_pixel_share(batch):
    given = batch(B=16, K=16, size=(24, 20))
    mixed = FMix(prob=1.0).apply(given, Rng(0).batch("fmix", 0, given.index_B))
    kept = (mixed.x == given.x).all(dim=1).flatten(1).float().mean(dim=1)
    own = mixed.targets.probs_BK[torch.arange(16), torch.arange(16)]
    moved = own < 1
    assert moved.sum() > 8
    assert torch.allclose(own[moved], kept[moved], atol=1e-6)


def test_shapes_are_smooth_and_the_decay_sets_how_much():
    def edges(decay):
        field = random_fields(Rng(1).batch("fmix", 0, np.arange(20)), decay, (64, 64))
        region = field > np.median(field, axis=(1, 2), keepdims=True)
        return (region[:, 1:] != region[:, :-1]).mean()

    assert edges(3.0) < 0.06
    assert edges(0.0) > 1.5 * edges(3.0)


def test_places_are_equally_often_hidden():
    field = random_fields(Rng(2).batch("fmix", 0, np.arange(3000)), 3.0, (32, 32))
    region = field > np.median(field, axis=(1, 2), keepdims=True)
    assert region.mean(axis=0) == pytest.approx(0.5, abs=0.05)
