import numpy as np
import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.methods import SpecAugment, TimeMask


def test_the_masked_share_is_what_its_stripes_come_to(spectrograms):
    """One stripe of either kind, of mean share t and f: 1 - (1 - t)(1 - f) of the cells are hidden."""
    x = spectrograms(B=2000, frames=100)
    method = SpecAugment(masks=1, max_time_fraction=0.2, max_freq_fraction=0.3)
    out = method.transform_batch(x, Rng(1).batch(method.name, 0, np.arange(2000)))
    assert (out != x).float().mean().item() == pytest.approx(1 - 0.9 * 0.85, abs=0.006)


def test_without_one_kind_it_is_the_other(spectrograms):
    x = spectrograms(B=32)
    rng = lambda: Rng(1).batch("same", 0, np.arange(32))  # noqa: E731
    alone = SpecAugment(masks=2, max_time_fraction=0.1, max_freq_fraction=0.0).transform_batch(x, rng())
    assert torch.equal(alone, TimeMask(masks=2, max_fraction=0.1).transform_batch(x, rng()))


def test_a_sample_is_masked_alike_in_any_batch(spectrograms):
    x, method = spectrograms(B=8), SpecAugment()
    whole = method.transform_batch(x, Rng(1).batch(method.name, 0, np.arange(8)))
    part = method.transform_batch(x[3:5], Rng(1).batch(method.name, 0, np.arange(3, 5)))
    assert torch.equal(whole[3:5], part)


def test_it_does_not_stand_beside_its_parts():
    with pytest.raises(RecipeError, match="'spec_augment' and 'time_mask' cannot be combined in one recipe"):
        Recipe(task="audio-classification", methods=(SpecAugment(), TimeMask()))
