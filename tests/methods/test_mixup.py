import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from whet.core.rng import Rng
from whet.methods import MixUp
from whet.tasks import SINGLE_LABEL


def rng(B=8, seed=0):
    return Rng(seed).batch("mixup", 0, np.arange(B))


def test_the_paper_s_formula(batch):
    """x' = w x + (1 - w) x_partner, and the targets with the same w."""
    given_batch = batch()
    mixed = MixUp(alpha=0.5).apply(given_batch, rng())
    draws = rng()
    weight = draws.beta(0.5, 0.5)
    weight = np.maximum(weight, 1 - weight)
    draws.uniform()
    partner = draws.permutation()
    w = torch.from_numpy(weight).float()
    x, y = given_batch.x, given_batch.targets.probs_BK
    assert torch.allclose(mixed.x, w[:, None, None, None] * x + (1 - w)[:, None, None, None] * x[partner])
    assert torch.allclose(mixed.targets.probs_BK, w[:, None] * y + (1 - w)[:, None] * y[partner])


@given(st.integers(0, 1000), st.floats(0.05, 4.0))
def test_label_mass_equals_pixel_share(seed, alpha):
    """With images that are constant at their class number, the mixed image's value is the mixed target's mean class."""
    from whet.core.batch import Batch

    labels = torch.tensor([0, 1, 2, 3])
    x = labels.float()[:, None, None, None].expand(4, 3, 4, 4).contiguous()
    mixed = MixUp(alpha=alpha).apply(
        Batch(x, SINGLE_LABEL.targets(labels, 4), np.arange(4), torch.ones(4)), rng(4, seed)
    )
    assert torch.allclose(mixed.x.mean(dim=(1, 2, 3)), mixed.targets.probs_BK @ torch.arange(4.0), atol=1e-5)


def test_weights_follow_the_folded_beta(batch):
    B = 5000
    mixed = MixUp(alpha=0.4).apply(batch(B, B, (1, 1)), rng(B))
    lead = mixed.targets.probs_BK.max(dim=1).values.double().numpy()
    law = stats.beta(0.4, 0.4)
    assert stats.kstest(lead[lead < 1], lambda w: law.cdf(w) - law.cdf(1 - w)).statistic < 0.03


def test_share_of_samples(batch):
    B = 2000
    mixed = MixUp(alpha=1.0, prob=0.3).apply(batch(B, B, (1, 1)), rng(B))
    assert abs((mixed.targets.probs_BK.max(dim=1).values < 1).float().mean() - 0.3) < 0.04


def test_the_first_sample_leads(batch):
    mixed = MixUp(alpha=1.0).apply(batch(), rng())
    assert (mixed.targets.probs_BK.gather(1, (torch.arange(8) % 4)[:, None]) >= 0.5).all()
