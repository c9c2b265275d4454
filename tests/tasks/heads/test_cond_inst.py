from dataclasses import replace

import numpy as np
import pytest
import torch

from whet.bundle.objects import masks_of, upsampled
from whet.core.errors import DataError, RecipeError
from whet.core.instance_targets import InstanceTargets
from whet.core.masks import IGNORE_ID, IdMap, Layer, Masks, Shape
from whet.core.polygons import box_points
from whet.models.decoders import CondInst
from whet.models.dynamic_masks import PARAMETERS, layers
from whet.tasks import INSTANCE_SEGMENTATION
from whet.tasks.heads import HEADS
from whet.tasks.heads.cond_inst_loss import focal_loss

TASK, HEAD = INSTANCE_SEGMENTATION.with_head("cond_inst"), HEADS["cond_inst"]
SIDE, STRIDE, K = 64, 4, 3
BAGS = [
    (4, 4, 40, 28, 1),
    (20, 12, 56, 40, 1),
    (44, 40, 60, 60, 2),
    (0, 40, 16, 48, 1),
]  # x0, y0, x1, y1, class; two overlap


def bags(boxes=BAGS, side=SIDE):
    shapes = tuple(Shape(k, (box_points(*box),)) for *box, k in boxes)
    return Masks((side, side), shapes).id_map()


def known(*targets):
    return InstanceTargets.of(targets, TASK, K)


def perfect(target, size=SIDE // STRIDE, sure=8.0):
    """The outputs of a network that knows the answer: feature k is positive inside the whole object k, and the network of the cell
    at its centre looks at this feature alone."""
    outputs = torch.full((TASK.outputs(K), size, size), 0.0)
    outputs[: K - 1] = -sure
    cell = target.ids_HW.shape[0] // size
    for k, layer in enumerate(target.layers()):
        whole = torch.from_numpy(layer.whole(target.shape)).float()
        share = torch.nn.functional.avg_pool2d(whole[None], cell)[0]
        outputs[K + PARAMETERS + k] = 2 * sure * share - sure
        y, x = (share.nonzero().float().mean(dim=0)).round().long().tolist()
        outputs[layer.class_number - 1, y, x] = sure
        outputs[K - 1, y, x] = sure
        outputs[K : K + PARAMETERS, y, x] = looks_at(k)
    return outputs[None]


def looks_at(feature):
    """Parameters of a mask whose logits are this feature."""
    found = torch.zeros(1, PARAMETERS)
    (weight1, _), (weight2, _), (weight3, _) = layers(found)
    weight1[0, :2, feature] = torch.tensor([1.0, -1.0])
    weight2[0] = torch.eye(8)
    weight3[0, 0, :2] = torch.tensor([1.0, -1.0])
    return found[0]


def measured(outputs, *targets):
    statistics = TASK.statistics(outputs, targets).numpy()
    ids = np.array([f"{n}" for n in range(len(targets))])
    return TASK.measure(TASK.evidence(("background", "can", "glass"), ids, np.zeros(len(ids)), statistics))


def test_perfect_outputs_of_overlapping_objects_have_an_average_precision_of_1():
    target = bags()
    assert target.covered  # the first object has pixels that the second hides
    found = measured(perfect(target), target)
    assert found["mask_ap"] == pytest.approx(1.0)
    assert found["precision"] == found["recall"] == 1.0


def test_objects_are_found_in_the_size_of_the_image():
    large = bags([(3 * x0, 3 * y0, 3 * x1, 3 * y1, k) for x0, y0, x1, y1, k in BAGS], 3 * SIDE)
    assert measured(perfect(bags()), large)["ap50"] == pytest.approx(1.0)


def test_channels_and_classes():
    assert HEAD.outputs(3) == 2 + 1 + 169 + 8
    assert [HEAD.classes(torch.zeros(HEAD.outputs(K))) for K in (2, 3, 90, 177)] == [2, 3, 90, 177]
    assert HEAD.classes(torch.zeros(HEAD.outputs(3) + 177)) == 3  # of two views
    with pytest.raises(RecipeError, match="at most 177 classes"):
        HEAD.outputs(178)


def test_a_duplicate_is_left_out_and_another_class_is_not():
    """A second cell of the same object with a lower score; then as an object of another class."""
    target = bags(BAGS[:2])
    outputs = perfect(target)[0]
    y, x = (int(one) for one in (outputs[0] > 0).nonzero()[0])
    outputs[:, y + 2, x + 2] = outputs[:, y, x]
    outputs[K - 1, y + 2, x + 2] = 1.0
    assert len(HEAD.detections(outputs.numpy(), (SIDE, SIDE))) == 2
    outputs[:2, y + 2, x + 2] = torch.tensor([-8.0, 8.0])
    found = HEAD.detections(outputs.numpy(), (SIDE, SIDE))
    assert [one.layer.class_number for one in found] == [1, 1, 2]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_score_is_the_root_of_the_class_times_the_quality():
    outputs = perfect(bags(BAGS[:1]))
    outputs[:, K - 1][outputs[:, K - 1] > 0] = 0.0
    (found,) = HEAD.detections(outputs[0].numpy(), (SIDE, SIDE))
    assert found.score == pytest.approx(torch.tensor(8.0).sigmoid().item() ** 0.5 * 0.5)


def test_overlap_with_a_better_object_of_the_class_costs_score():
    """Boxes of 8 x 8 and of 8 x 8 cells of which 8 x 4 are in both: an IoU of a third."""
    target = bags([(4, 4, 36, 36, 1), (20, 4, 52, 36, 1)])
    outputs = perfect(target)
    first, second = HEAD.detections(outputs[0].numpy(), (SIDE, SIDE))
    assert second.score == pytest.approx(first.score * 2 / 3, rel=1e-4)


def test_where_objects_overlap_the_one_with_the_highest_score_is_shown():
    outputs = perfect(bags(BAGS[:2]))
    found = TASK.predicted(outputs[0].numpy(), (SIDE, SIDE))
    first, second = found.detections
    assert np.count_nonzero(first.layer.mask) == (found.ids_HW == 1).sum()
    assert np.count_nonzero(second.layer.mask) > (found.ids_HW == 2).sum()


@pytest.mark.parametrize("size", [(16, 16), (37, 50), (5, 7)])
def test_masks_are_resized_as_torch_does(size):
    logits = torch.randn(9, 11, generator=torch.Generator().manual_seed(2)) - 0.5
    logits[:2] = logits[:, 9:] = -1.0
    whole = torch.nn.functional.interpolate(logits[None, None], size, mode="bilinear", align_corners=False)[0, 0] > 0
    assert np.array_equal(Layer(1, *upsampled(logits.numpy(), size)).whole(size), whole.numpy())


def test_several_networks_have_the_mean_of_their_masks():
    """Each with features and parameters of its own; two of two are four."""
    torch.manual_seed(0)
    outputs, weights = torch.randn(1, 2, TASK.outputs(K), 6, 7), (0.7, 0.3)
    both = TASK.combine(outputs, weights)
    assert HEAD.classes(both[0]) == K
    expected = (weights[0] * outputs[:, 0, :K].sigmoid() + weights[1] * outputs[:, 1, :K].sigmoid()).logit()
    assert torch.allclose(both[:, :K], expected, atol=1e-5)
    mean = weights[0] * logits_at(outputs[0, 0]) + weights[1] * logits_at(outputs[0, 1])
    assert torch.allclose(logits_at(both[0]), mean, atol=1e-4)
    again = TASK.combine(torch.stack([both, both], dim=1))
    assert HEAD.classes(again[0]) == K
    assert torch.allclose(logits_at(again[0]), mean, atol=1e-4)


def logits_at(outputs, y=2, x=3):
    (found,) = masks_of(outputs[K:].numpy(), np.array([y]), np.array([x]))
    return torch.from_numpy(found)


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-1, -2)])
def test_a_flip_is_undone(axes):
    """Masks that follow from offsets: the diamonds of the first parameters."""
    torch.manual_seed(0)
    head = CondInst((4, 8), (16, 24), TASK.outputs(K), width=16).eval()
    outputs = head([torch.randn(1, 16, 16, 16), torch.randn(1, 24, 8, 8)]).detach()
    outputs[:, 0, 5, 7] = outputs[:, 1, 11, 2] = 8.0
    seen, found = (HEAD.detections(one[0].numpy(), (SIDE, SIDE)) for one in (outputs, TASK.undo(outputs, axes)))
    assert len(seen) == len(found)
    for one, other in zip(seen[:2], found[:2]):
        assert np.array_equal(np.flip(one.layer.whole((SIDE, SIDE)), axes), other.layer.whole((SIDE, SIDE)))


# The loss ---------------------------------------------------------------------------------------------------------------------
def test_focal_loss_by_hand():
    logits, target = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    p = 1 / (1 + np.exp(-2.0))
    expected = [0.25 * 0.25 * np.log(2), 0.75 * p**2 * -np.log(1 - p)]
    assert focal_loss(logits, target).tolist() == pytest.approx(expected, rel=1e-5)


def test_perfect_masks_have_a_small_loss_and_wrong_ones_a_large_one():
    flat = bags([(4, 4, 20, 20, 1), (36, 36, 60, 60, 2)])
    outputs = perfect(flat)
    for k, places in enumerate(((2, 2), (11, 11))):  # every cell around the centre, as the loss wants it
        y, x = places
        around = (slice(None), slice(None), slice(y - 2, y + 3), slice(x - 2, x + 3))
        outputs[around][:, k] = outputs[around][:, K - 1] = 8.0
        outputs[around][:, K : K + PARAMETERS] = looks_at(k)[None, :, None, None]
    least = TASK.loss(outputs, known(flat)).item()
    wrong = outputs.clone()
    wrong[:, K + PARAMETERS :] *= -1
    assert TASK.loss(wrong, known(flat)).item() - least > 1


def test_no_objects_and_no_prediction():
    none = bags([])
    outputs = perfect(none)
    assert TASK.loss(outputs, known(none)).item() < 1e-2
    assert measured(outputs, none)["mask_ap"] is None
    learned = torch.zeros(1, TASK.outputs(K), 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(TASK.loss(learned, known(none)).sum(), learned)
    assert (gradient[:, : K - 1] > 0).all()  # negatives count
    assert (gradient[:, K - 1 :] == 0).all()


def test_unknown_pixels_have_no_loss():
    torch.manual_seed(0)
    target = bags([(4, 4, 20, 20, 1)])
    target.ids_HW[:, 32:] = IGNORE_ID
    outputs = torch.randn(1, TASK.outputs(K), 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(TASK.loss(outputs, known(target)).sum(), outputs)
    assert (gradient[:, :, :, 8:] == 0).all()
    assert (gradient[:, :, :, :8] != 0).any()


def test_every_object_is_trained_in_a_batch_as_alone():
    torch.manual_seed(0)
    outputs, one, two = torch.randn(2, TASK.outputs(K), 16, 16), bags(), bags(BAGS[2:])
    both = TASK.loss(outputs, known(one, two))
    assert both.tolist() == pytest.approx(
        [TASK.loss(outputs[:1], known(one)).item(), TASK.loss(outputs[1:], known(two)).item()]
    )


def test_a_mixed_target_has_the_mixed_loss():
    torch.manual_seed(0)
    outputs, own = torch.randn(2, TASK.outputs(K), 16, 16), known(bags(), bags(BAGS[1:3]))
    partner, weight = torch.tensor([1, 0]), torch.tensor([0.7, 0.2])
    expected = weight * TASK.loss(outputs, own) + (1 - weight) * TASK.loss(outputs, own[partner])
    assert torch.allclose(TASK.loss(outputs, own.mix(partner, weight)), expected)


def test_the_head_learns_one_image():
    """From random features; a batch of one."""
    torch.manual_seed(0)
    target, maps = bags(BAGS[1:]), [torch.randn(1, 16, 16, 16), torch.randn(1, 24, 8, 8)]
    head = CondInst((4, 8), (16, 24), TASK.outputs(K), width=16)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(TASK.loss(head(maps), known(target)).sum())
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.2 * losses[0]
    assert measured(head(maps).detach(), target)["recall"] > 0.6


def test_crowds_are_no_false_positives():
    """An object, a crowd, and two predictions inside the crowd."""
    target = bags([(4, 4, 20, 20, 1), (36, 4, 44, 12, 1), (36, 20, 44, 28, 1)])
    outputs = perfect(target)
    crowd = IdMap(np.where(target.ids_HW > 1, IGNORE_ID, target.ids_HW).astype(np.uint16), target.class_of_id[:1])
    assert len(HEAD.detections(outputs[0].numpy(), (SIDE, SIDE))) == 3
    assert measured(outputs, crowd)["ap50"] == pytest.approx(1.0)


# Objects of which only the box is known ---------------------------------------------------------------------------------------
def boxed(target, *numbers):
    return replace(target, boxed=frozenset(numbers or range(1, len(target) + 1)))


def cross(side=SIDE):
    """A plus sign that touches the sides of its box in the middle alone, and the box as a map of objects."""
    shape = torch.full((side // STRIDE, side // STRIDE), -8.0)
    shape[4:11, 7] = shape[7, 4:11] = 8.0
    return shape, bags([(16, 16, 44, 44, 1)])


def by_colour(target):
    """Targets of boxes where the loss of pairs has begun, without any pair."""
    return known(boxed(target)).paired(torch.zeros(1, 8, 16, 16, dtype=torch.bool), 1.0)


def outputs_of(shape):
    """Outputs where every cell predicts this mask."""
    outputs = torch.zeros(1, TASK.outputs(K), *shape.shape)
    outputs[:, K : K + PARAMETERS] = looks_at(0)[None, :, None, None]
    outputs[:, K + PARAMETERS] = shape
    return outputs.requires_grad_()


def test_a_mask_that_touches_its_box_has_no_projection_loss_but_a_dice_loss():
    shape, target = cross()
    outputs = outputs_of(shape)
    as_box, as_mask = TASK.loss(outputs, by_colour(target)).item(), TASK.loss(outputs, known(target)).item()
    area, inside = 49, 13
    assert as_mask - as_box == pytest.approx(1 - 2 * inside / (area + inside), abs=5e-3)


def test_without_colours_the_box_is_taken_for_the_mask():
    """Fully without pairs, by half where their loss has half begun."""
    shape, target = cross()
    outputs, none = outputs_of(shape), torch.zeros(1, 8, 16, 16, dtype=torch.bool)
    least = TASK.loss(outputs, by_colour(target)).item()
    filled = 1 - 2 * 13 / (49 + 13)
    assert TASK.loss(outputs, known(boxed(target))).item() - least == pytest.approx(filled, abs=1e-3)
    half = TASK.loss(outputs, known(boxed(target)).paired(none, 1.0, 0.5)).item()
    assert half - least == pytest.approx(filled / 2, abs=1e-3)


def test_the_mask_is_drawn_to_its_box():
    """The gradient of the projection loss on the feature: upwards in the best cell of each row and column of the box, downwards
    outside."""
    shape, target = cross()
    shape = torch.where(shape > 0, -1.0, -2.0)
    shape[0, 0] = 1.0
    outputs = outputs_of(shape)
    (gradient,) = torch.autograd.grad(TASK.loss(outputs, by_colour(target)).sum(), outputs)
    feature = gradient[0, K + PARAMETERS]
    assert feature[0, 0] > 0
    assert (feature[4:11, 7] < 0).all()
    assert (feature[7, 4:11] < 0).all()
    assert (feature[4, 4:7] == 0).all()


def test_cells_of_similar_colours_belong_together():
    """The pairwise loss: only inside the box, only of pairs, with its weight."""
    shape, target = cross()
    outputs, alike = outputs_of(shape), torch.zeros(1, 8, 16, 16, dtype=torch.bool)
    plain = TASK.loss(outputs, by_colour(target)).item()
    alike[:, :, :3] = True  # far from the box
    assert TASK.loss(outputs, known(boxed(target)).paired(alike, 1.0)).item() == pytest.approx(plain)
    alike[:, 4, 7, 8] = True  # of cell (7, 8), with the neighbour two to the right, both in the mask
    assert TASK.loss(outputs, known(boxed(target)).paired(alike, 1.0)).item() == pytest.approx(plain, abs=1e-3)
    # Of cell (8, 5) outside the mask, with (8, 7) inside it: -log(2 · 0.9997 · 0.0003), one of two pairs.
    alike[:, 4, 8, 5] = True
    different = -np.log(2 / (1 + np.exp(-8)) / (1 + np.exp(8)))
    found = TASK.loss(outputs, known(boxed(target)).paired(alike, 0.3)).item()
    assert found - plain == pytest.approx(0.3 * different / 2, rel=1e-3)
    assert TASK.loss(outputs, known(target).paired(alike, 1.0)).item() == pytest.approx(
        TASK.loss(outputs, known(target)).item()
    )


def test_masks_and_boxes_in_one_image():
    """The loss of both is the mean, whatever their order."""
    torch.manual_seed(0)
    target = bags([(4, 4, 20, 20, 1), (36, 36, 52, 52, 1)])
    outputs = torch.randn(1, TASK.outputs(K), 16, 16)
    both = [TASK.loss(outputs, known(boxed(target, *numbers))).item() for numbers in ((1,), (2,), (1, 2))]
    assert both[0] + both[1] == pytest.approx(TASK.loss(outputs, known(target)).item() + both[2], rel=1e-5)


def test_the_other_head_takes_no_boxes():
    masks = Masks((SIDE, SIDE), (Shape(1, (box_points(4, 4, 20, 20),), kind="box"),))
    assert TASK.map_of(masks).boxed == {1}
    with pytest.raises(DataError, match="a box does not say which pixels"):
        INSTANCE_SEGMENTATION.map_of(masks)
