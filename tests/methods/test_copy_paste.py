import numpy as np
import pytest
import torch

from whet.core.batch import Instances
from whet.core.errors import NoEffectError
from whet.core.instance_targets import InstanceTargets
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IdMap
from whet.core.rng import Rng
from whet.methods import CopyPaste
from whet.methods.mix.copy_paste import objects_in
from whet.tasks import INSTANCE_SEGMENTATION, SEMANTIC_SEGMENTATION


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


def test_without_instances_the_connected_parts_of_rarer_classes_are_pasted(batch):
    given = things(batch).replace(instances=None)
    partner = Rng(0).batch("copy_paste", 0, given.index_B).permutation()
    mixed = CopyPaste(prob=1.0, share=1.0).apply(given, Rng(0).batch("copy_paste", 0, given.index_B))
    for i, other in enumerate(partner):
        pasted = given.targets.label_MBHW[0, other] > 0  # all but class 0, the most frequent
        assert torch.equal(mixed.x[i], torch.where(pasted, given.x[other], given.x[i]))
        label = given.targets.label_MBHW[0]
        assert torch.equal(mixed.targets.label_MBHW[0, i], torch.where(pasted, label[other], label[i]))
    assert mixed.instances is None


def test_parts_of_one_class_that_do_not_touch_are_several_objects_and_ignored_pixels_none():
    label = torch.zeros((1, 8, 10), dtype=torch.uint8)
    label[0, 1:3, 1:3] = label[0, 5:7, 1:3] = 2
    label[0, 1:6, 6:8] = 1
    label[0, 7] = 255
    (found,) = objects_in(MaskTargets.of(label, SEMANTIC_SEGMENTATION, 3))
    assert found.label_N.tolist() == [1, 2, 2]
    assert found.mask_NHW.flatten(1).sum(dim=1).tolist() == [10, 4, 4]


def test_without_outlines_it_says_so(batch):
    given = batch()
    with pytest.raises(NoEffectError, match="no instances"):
        CopyPaste().apply(given, Rng(0).batch("copy_paste", 0, given.index_B))


def test_pasted_objects_keep_their_class_and_cut_what_they_hide():
    """Of the objects below, the pasted one hides the first wholly and the second in part: it has the centre of what is left."""
    own = np.zeros((16, 16), np.uint16)
    own[2:6, 2:6], own[4:8, 6:14] = 1, 2
    other = np.zeros((16, 16), np.uint16)
    other[0:10, 0:10] = 1
    maps = [IdMap(own, np.array([1, 2])), IdMap(other, np.array([2]))]
    targets = InstanceTargets.of(maps, INSTANCE_SEGMENTATION, 3)
    (first, second) = objects_in(targets)
    assert first.mask_NHW.flatten(1).sum(dim=1).tolist() == [16, 32]
    assert first.label_N.tolist() == [1, 2]
    pasted = targets[:1].paste(targets[1:], second.mask_NHW.any(dim=0)[None])
    assert sorted(np.unique(pasted.id_MBHW).tolist()) == [0, 2, 3]
    assert pasted.centre_MBN2[0, 0, 1].tolist() == [6.0, 12.0]
    assert pasted.label_MBHW[0, 0, 3, 3] == 2
