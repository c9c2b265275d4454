import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.core.batch import Batch
from whet.core.rng import Rng
from whet.methods import CutMix
from whet.tasks import SINGLE_LABEL


def constant_images(B=8, size=(16, 24)):
    """Each image is constant at its own number, and its own class: every pixel says whose it is."""
    x = torch.arange(B).float()[:, None, None, None].expand(B, 3, *size).contiguous()
    return Batch(x, SINGLE_LABEL.targets(torch.arange(B), B), np.arange(B), torch.ones(B))


@given(st.integers(0, 500), st.floats(0.2, 3.0))
def test_targets_are_pixel_shares(seed, alpha):
    batch = CutMix(alpha=alpha, prob=1.0).apply(constant_images(), Rng(seed).batch("cutmix", 0, np.arange(8)))
    shares = torch.stack([(batch.x[:, 0] == k).float().mean(dim=(1, 2)) for k in range(8)], dim=1)
    assert torch.allclose(batch.targets.probs_BK, shares, atol=1e-6)


def test_what_is_pasted_is_one_rectangle_at_its_place():
    batch = CutMix(prob=1.0).apply(constant_images(), Rng(1).batch("cutmix", 0, np.arange(8)))
    for i in range(8):
        foreign = batch.x[i, 0] != i
        if foreign.any():
            rows, columns = foreign.any(dim=1), foreign.any(dim=0)
            assert int(foreign.sum()) == int(rows.sum() * columns.sum())
            assert len(torch.unique(batch.x[i, 0][foreign])) == 1


def test_share_of_samples():
    mixed = CutMix(prob=0.25).apply(constant_images(2000, (8, 8)), Rng(2).batch("cutmix", 0, np.arange(2000)))
    assert abs((mixed.targets.probs_BK.max(dim=1).values < 1).float().mean() - 0.25) < 0.04
