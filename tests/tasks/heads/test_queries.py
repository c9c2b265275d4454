"""Objects from queries: the loss equals that of transformers, and what it must withstand."""

import numpy as np
import pytest
import torch
from tests.models.kinds import SEGMENTERS
from tests.tasks.heads.test_cond_inst import BAGS, bags
from torch.nn.functional import one_hot

from whet.core.instance_targets import InstanceTargets
from whet.core.masks import IGNORE_ID, IdMap
from whet.models.query_outputs import logits_of, packed, unpacked
from whet.tasks import INSTANCE_SEGMENTATION
from whet.tasks.heads.query_loss import matched

TASK, SIDE, K = INSTANCE_SEGMENTATION.with_head("own"), 64, 3
APART = BAGS[2:]  # of the classes 2 and 1


def known(*targets):
    return InstanceTargets.of(targets, TASK, K)


def perfect(target, queries=6, sure=8.0):
    """The outputs of a network that knows the answer: the first queries have the objects, the others none."""
    class_Q, mask_QHW = torch.full((queries,), K - 1), torch.full((queries, SIDE, SIDE), -sure)
    for q, layer in enumerate(target.layers()):
        class_Q[q] = layer.class_number - 1
        mask_QHW[q] += 2 * sure * torch.from_numpy(layer.whole(target.shape))
    return packed(2 * sure * one_hot(class_Q, K).float(), mask_QHW)[None]


def drawn(queries=6, cells=16, seed=0):
    draws = torch.Generator().manual_seed(seed)
    class_QC, mask_Qhw = (torch.randn(shape, generator=draws) for shape in ((queries, K), (queries, cells, cells)))
    return packed(class_QC, 3 * mask_Qhw)[None].requires_grad_()


def measured(outputs, *targets):
    statistics = TASK.statistics(outputs, targets).numpy()
    ids = np.array([f"{n}" for n in range(len(targets))])
    return TASK.measure(TASK.evidence(("background", "can", "glass"), ids, np.zeros(len(ids)), statistics))


def loss(outputs, *targets, seed=0):
    torch.manual_seed(seed)
    return TASK.loss(outputs, known(*targets))


@pytest.mark.parametrize("width", [3, 4, 16])
def test_the_outputs_are_one_tensor_that_tells_the_number_of_its_classes(width):
    class_QC, mask_Qhw = torch.randn(2, 5, K), torch.randn(2, 5, 7, width)
    outputs = packed(class_QC, mask_Qhw)
    assert logits_of(outputs) == TASK.head.classes(outputs[0]) == TASK.outputs(K) == K
    assert all(map(torch.equal, unpacked(outputs, K), (class_QC, mask_Qhw)))


@pytest.mark.parametrize("kind", ["mask2former", "eomt"])
def test_the_loss_of_an_image_is_that_of_transformers(kind):
    """Of each layer of the decoder; of several layers it is the sum. The points are drawn in the same order."""
    settings = SEGMENTERS[kind].settings | {"num_labels": K - 1}
    published = SEGMENTERS[kind].model(SEGMENTERS[kind].config(**settings))
    published.criterion.num_points = published.criterion.matcher.num_points = SIDE**2
    target = bags(APART)
    masks_NHW = torch.stack([torch.from_numpy(target.ids_HW == number) for number in (1, 2)]).float()
    layers = [drawn(seed=1), drawn(seed=2)]
    for outputs in layers:
        class_BQC, mask_BQhw = unpacked(outputs, K)
        torch.manual_seed(0)
        parts = published.get_loss_dict(mask_BQhw, class_BQC, [masks_NHW], [torch.tensor([1, 0])], None)
        assert torch.allclose(loss(outputs, target), published.get_loss(parts), rtol=1e-5)
    torch.manual_seed(0)
    each = sum(TASK.loss(outputs, known(target)) for outputs in layers)
    assert torch.allclose(loss(torch.stack(layers, dim=1), target), each)


def test_perfect_queries_have_an_average_precision_of_1():
    """Of objects that overlap. The loss is small: that of points between a pixel inside and one outside."""
    target = bags()
    assert target.covered
    found = measured(perfect(target), target)
    assert found["mask_ap"] == pytest.approx(1.0)
    assert found["precision"] == found["recall"] == 1.0
    assert found["count_error"] == 0
    assert loss(perfect(bags(APART)), bags(APART)) < 0.1 * loss(drawn(), bags(APART))


def test_a_duplicate_is_left_out_and_one_of_another_class_is_a_false_positive():
    target, outputs = bags(APART), perfect(bags(APART), sure=3.0)
    twice = outputs.clone()
    twice[:, 2] = outputs[:, 0]
    assert measured(twice, target)["precision"] == 1.0
    class_BQC, mask_BQhw = unpacked(twice, K)
    class_BQC[:, 2] = torch.tensor([6.0, 0.0, 0.0])  # a can, where the first is of glass
    found = measured(packed(class_BQC, mask_BQhw), target)
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), 1.0)
    assert found["count_error"] == 1


def test_an_image_without_objects_trains():
    """All queries learn that there is none; a batch of one such image is enough."""
    outputs = drawn()
    value = loss(outputs, bags([]))
    value.sum().backward()
    assert value.isfinite().all() and outputs.grad.isfinite().all()
    class_grad, mask_grad = unpacked(outputs.grad, K)
    assert (class_grad[..., -1] < 0).all() and (mask_grad == 0).all()
    both = loss(torch.cat([drawn(), drawn(seed=1)]).detach(), bags([]), bags([]))
    assert both.shape == (2,) and torch.allclose(both[:1], value)


def test_an_object_without_pixels_is_no_target():
    """One that a crop has cut away, or another object covers."""
    target = bags(APART)
    cut = IdMap(np.where(target.ids_HW == 1, 0, target.ids_HW), target.class_of_id)
    alone = bags(APART[1:])
    assert torch.equal(loss(drawn(), cut), loss(drawn(), alone))


def test_unknown_pixels_have_no_loss():
    """Neither for the mask of a matched query, nor for the class of one whose mask lies on them."""
    ids = np.zeros((SIDE, SIDE), np.uint16)
    ids[8:24, 8:24], ids[:, 32:] = 1, IGNORE_ID
    target = IdMap(ids, np.array([1]))
    class_QC = torch.tensor([[4.0, 0, 0], [0.0, 3, 0], [0.0, 3, 0]])
    mask_QHW = torch.full((3, SIDE, SIDE), -2.0)
    mask_QHW[0, 8:24, 8:24] = mask_QHW[1, :, 40:] = mask_QHW[2, 40:, :24] = 2.0  # the object, in the crowd, a mistake
    outputs = packed(class_QC, mask_QHW)[None].requires_grad_()
    loss(outputs, target).sum().backward()
    class_grad, mask_grad = unpacked(outputs.grad[0], K)
    assert class_grad[1].abs().sum() == 0 < class_grad[2].abs().sum()
    assert mask_grad[0, :, 33:].abs().sum() == 0 < mask_grad[0, :, :31].abs().sum()


def test_the_cost_of_a_match_is_computed_in_float32():
    target = bags(APART)
    masks_NHW = torch.stack([torch.from_numpy(target.ids_HW == number) for number in (1, 2)]).float()
    outputs = drawn(queries=40).detach().bfloat16()
    found = []
    for as_given in (outputs, outputs.float()):
        with torch.autocast("cpu", torch.bfloat16, enabled=as_given is outputs):
            class_BQC, mask_BQhw = unpacked(as_given, K)
            torch.manual_seed(0)
            found.append(matched(class_BQC[0], mask_BQhw[0], torch.tensor([1, 0]), masks_NHW))
            torch.manual_seed(0)
            found[-1] += (TASK.loss(as_given, known(target)),)
    assert all(map(torch.equal, *found))
    assert found[0][2].dtype == torch.float32


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 9)])  # a class logit, a cell of a mask
def test_what_is_not_finite_is_in_the_loss(value, place):
    """The training then stops with the step; the matching itself does not fail."""
    outputs = drawn().detach().clone()
    row, column = place
    outputs[0, :, row, column + 1] = value
    assert not loss(outputs, bags(APART)).isfinite().all()


def test_more_objects_than_queries():
    value = loss(drawn(queries=1), bags())
    assert value.isfinite().all() and value > 0


def test_views_are_combined_query_by_query():
    """In whatever order their queries are, and where one of them does not see an object."""
    target = bags()
    outputs = perfect(target, sure=4.0)
    other = outputs[:, torch.tensor([3, 5, 0, 4, 1, 2])]
    both = TASK.combine(torch.stack([outputs, other], dim=1), [0.25, 0.75])
    assert torch.allclose(unpacked(both, K)[1], unpacked(outputs, K)[1])
    assert torch.allclose(unpacked(both, K)[0].softmax(-1), unpacked(outputs, K)[0].softmax(-1), atol=1e-5)
    blind = outputs.clone()
    blind[:, 0] = outputs[:, 5]
    half = TASK.combine(torch.stack([outputs, blind], dim=1))
    assert measured(half, target)["mask_ap"] == pytest.approx(1.0)
    assert unpacked(half, K)[0].softmax(-1)[0, 0].max() == pytest.approx(0.5, abs=0.01)


def test_a_flip_is_undone_in_the_masks_alone():
    class_BQC, mask_BQhw = torch.randn(2, 5, K), torch.randn(2, 5, 7, 9)
    flipped = packed(class_BQC, mask_BQhw.flip(-1))
    assert torch.equal(TASK.undo(flipped, (-1,)), packed(class_BQC, mask_BQhw))
