import numpy as np
import torch

from whet.core.batch import Instances
from whet.core.mask_targets import MaskTargets
from whet.core.rng import Rng
from whet.methods import Mosaic
from whet.tasks import SEMANTIC_SEGMENTATION, SINGLE_LABEL


def plain(batch, B=8):
    """Every image one flat value, its own class, its own mask value."""
    given = batch(B=B, K=B, size=(20, 24))
    value = torch.arange(B).float().view(-1, 1, 1, 1)
    whole = torch.ones((1, 20, 24), dtype=torch.bool)
    return given.replace(
        x=value.expand(-1, 3, 20, 24).clone(),
        instances=tuple(Instances(whole.clone(), torch.tensor([k])) for k in range(B)),
        targets=SINGLE_LABEL.targets(torch.arange(B), B),
    )


def masks(B=8):
    """Every image's mask has its own value."""
    return MaskTargets.of(torch.arange(B).view(-1, 1, 1).expand(-1, 20, 24).clone(), SEMANTIC_SEGMENTATION, B)


def test_targets_masks_and_things_say_what_the_pixels_show(batch):
    given = plain(batch)
    mixed, masked = (
        Mosaic(prob=1.0).apply(one, Rng(1).batch("mosaic", 0, given.index_B))
        for one in (given, given.replace(targets=masks()))
    )
    mask_BHW = masked.targets.label_MBHW[0]
    assert torch.equal(mixed.x[:, 0].round().long(), mask_BHW)
    for i in range(8):
        share = torch.bincount(mask_BHW[i].flatten(), minlength=8) / (20 * 24)
        assert torch.allclose(mixed.targets.probs_BK[i], share.float(), atol=1e-6)
        for mask, label in zip(mixed.instances[i].mask_NHW, mixed.instances[i].label_N):
            assert (mask_BHW[i][mask] == label).all()
        assert mixed.instances[i].mask_NHW.sum(dim=0).eq(1).all()  # every pixel belongs to one thing


def test_those_not_chosen_stay(batch):
    given = plain(batch)
    rng = Rng(1).batch("mosaic", 0, given.index_B)
    chosen = Rng(1).batch("mosaic", 0, given.index_B).bernoulli(0.5)
    mixed = Mosaic(prob=0.5).apply(given, rng)
    for i in np.flatnonzero(~chosen):
        assert torch.equal(mixed.x[i], given.x[i])
        assert torch.allclose(mixed.targets.probs_BK[i], given.targets.probs_BK[i])
