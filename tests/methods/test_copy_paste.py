import pytest
import torch

from whet.core.batch import Instances
from whet.core.errors import NoEffectError
from whet.core.mask_targets import MaskTargets
from whet.core.rng import Rng
from whet.methods import CopyPaste
from whet.tasks import SEMANTIC_SEGMENTATION


def things(batch):
    """Four images, each with one square thing at its own place, over a ground of class 0."""
    given = batch(B=4, K=4, size=(16, 16))
    instances, mask = [], torch.zeros((4, 16, 16), dtype=torch.int64)
    for i in range(4):
        outline = torch.zeros((1, 16, 16), dtype=torch.bool)
        outline[0, 3 * i : 3 * i + 5, 2 * i : 2 * i + 5] = True
        mask[i][outline[0]] = i + 1
        instances.append(Instances(outline, torch.tensor([i + 1])))
    return given.replace(instances=tuple(instances), targets=MaskTargets.of(mask, SEMANTIC_SEGMENTATION, 5))


def test_things_come_with_their_pixels_and_hide_what_is_under_them(batch):
    given = things(batch)
    rng = Rng(0).batch("copy_paste", 0, given.index_B)
    partner = Rng(0).batch("copy_paste", 0, given.index_B).permutation()
    mixed = CopyPaste(prob=1.0, share=1.0).apply(given, rng)
    for i, other in enumerate(partner):
        outline = given.instances[other].mask_NHW[0]
        assert torch.equal(mixed.x[i][:, outline], given.x[other][:, outline])
        assert torch.equal(mixed.x[i][:, ~outline], given.x[i][:, ~outline])
        assert (mixed.targets.label_MBHW[0, i][outline] == other + 1).all()
        # No pixel belongs to two things, and each thing's pixels carry its class.
        assert mixed.instances[i].mask_NHW.sum(dim=0).max() == 1
        for thing, label in zip(mixed.instances[i].mask_NHW, mixed.instances[i].label_N):
            assert (mixed.targets.label_MBHW[0, i][thing] == label).all()


def test_without_outlines_it_says_so(batch):
    given = batch()
    with pytest.raises(NoEffectError, match="no instances"):
        CopyPaste().apply(given, Rng(0).batch("copy_paste", 0, given.index_B))
