from dataclasses import replace

import numpy as np
import pytest
import torch

from whet.core.instance_targets import InstanceTargets
from whet.core.masks import IGNORE, IGNORE_ID, IdMap
from whet.tasks import INSTANCE_SEGMENTATION as TASK


def id_map(*boxes, classes, side=16):
    """boxes: (x0, y0, x1, y1)."""
    ids = np.zeros((side, side), np.uint16)
    for k, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        ids[y0:y1, x0:x1] = k
    return IdMap(ids, np.array(classes))


def targets(*maps):
    return InstanceTargets.of(maps, TASK, 3)


def test_classes_and_centres_follow_from_the_numbers():
    one, two = id_map((0, 0, 4, 2), (8, 8, 12, 16), classes=[2, 1]), id_map(classes=[])
    one.ids_HW[15, 0] = IGNORE_ID
    found = targets(one, two)
    label = found.label_MBHW[0]
    assert label[0, 0, 0] == 2
    assert label[0, 9, 9] == 1
    assert label[0, 15, 0] == IGNORE
    assert (label[1] == 0).all()
    assert found.centre_MBN2[0, 0].tolist() == [[1.0, 2.0], [12.0, 10.0]]  # (y, x)
    assert (found.centre_MBN2[0, 1] > 1e5).all()  # no object is there


def test_a_cut_object_has_the_centre_of_its_visible_part():
    whole = targets(id_map((0, 0, 8, 8), classes=[1]))
    region = torch.zeros(1, 16, 16, dtype=torch.bool)
    region[:, :, :4] = True
    cut = whole.paste(targets(id_map(classes=[])), region)
    assert cut.centre_MBN2[0, 0, 0].tolist() == [4.0, 6.0]


def test_pasted_objects_are_objects_of_their_own():
    own, other = targets(id_map((0, 0, 4, 4), classes=[1])), targets(id_map((8, 8, 12, 12), classes=[2]))
    region = torch.zeros(1, 16, 16, dtype=torch.bool)
    region[:, 8:] = True
    found = own.paste(other, region)
    assert sorted(np.unique(found.id_MBHW).tolist()) == [0, 1, 2]
    assert found.label_MBHW[0, 0, 9, 9] == 2
    assert found.label_MBHW[0, 0, 1, 1] == 1


def test_a_mixed_target_has_the_mixed_loss():
    torch.manual_seed(0)
    outputs = torch.randn(2, 6, 4, 4)
    own = targets(id_map((0, 0, 8, 8), classes=[1]), id_map((4, 4, 12, 16), (0, 0, 3, 3), classes=[2, 1]))
    partner, weight = torch.tensor([1, 0]), torch.tensor([0.7, 0.2])
    expected = weight * TASK.loss(outputs, own) + (1 - weight) * TASK.loss(outputs, own[partner])
    assert torch.allclose(TASK.loss(outputs, own.mix(partner, weight)), expected)


def test_shares_are_those_of_known_pixels():
    one = id_map((0, 0, 16, 4), classes=[2])
    one.ids_HW[8:] = IGNORE_ID
    assert targets(one).share_BK[0].tolist() == pytest.approx([0.5, 0.0, 0.5])


def boxed_map(*boxes, classes, boxed=()):
    return replace(id_map(*boxes, classes=classes), boxed=frozenset(boxed))


def test_objects_of_which_only_the_box_is_known_stay_so():
    own = targets(boxed_map((0, 0, 4, 4), (8, 0, 12, 4), classes=[1, 2], boxed=[2]), id_map(classes=[]))
    assert own.boxed_MBN.tolist() == [[[False, True], [False, False]]]
    other = targets(boxed_map((8, 8, 12, 12), classes=[2], boxed=[1]), id_map(classes=[]))
    region = torch.zeros(2, 16, 16, dtype=torch.bool)
    assert own.paste(other, region).boxed_MBN[0].tolist() == [[False, True, True], [False, False, False]]
    mixed = own.mix(torch.tensor([1, 0]), torch.tensor([0.5, 0.5]))
    assert mixed.boxed_MBN[1].tolist() == [[False, False], [False, True]]


def test_pairs_follow_their_samples():
    alike = torch.zeros(2, 8, 4, 4, dtype=torch.bool)
    alike[1] = True
    own = targets(id_map((0, 0, 4, 4), classes=[1]), id_map(classes=[])).paired(alike, 0.5)
    assert own.to(torch.device("cpu")).pairs.weight == 0.5
    assert own[torch.tensor([1])].pairs.alike_B8hw.all()
    seen = []
    own.by_layer(lambda layer: seen.append(layer.pairs) or torch.zeros(2))
    assert seen == [own.pairs]
