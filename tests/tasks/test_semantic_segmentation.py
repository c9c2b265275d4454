import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from whet.core.errors import DataError
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IGNORE
from whet.tasks import SEMANTIC_SEGMENTATION as TASK
from whet.tasks.semantic_segmentation import boundary_counts, boundary_f_K, class_map, confusion_KK, iou_K

CLASSES = ("background", "can", "glass")


def maps(seed, shape=(12, 15), classes=3):
    draws = np.random.default_rng(seed)
    return draws.integers(0, classes, shape).astype(np.uint8)


def evidence(pairs, classes=CLASSES):
    """Of (predicted map, mask) pairs, as a network that predicts these maps gives it."""
    stats = [
        TASK.statistics(
            torch.nn.functional.one_hot(torch.tensor(p).long(), len(classes)).permute(2, 0, 1)[None] * 9.0, [m]
        )
        for p, m in pairs
    ]
    ids = np.array([f"{n:03d}" for n in range(len(pairs))])
    return TASK.evidence(classes, ids, np.zeros(len(pairs)), torch.cat(stats).numpy())


@given(st.integers(0, 10**6))
def test_iou_is_that_of_scikit_learn(seed):
    predicted, target = maps(seed), maps(seed + 1)
    expected = jaccard_score(target.ravel(), predicted.ravel(), labels=[0, 1, 2], average=None)
    assert iou_K(confusion_KK(predicted, target, 3)) == pytest.approx(expected)


def test_ignored_pixels_change_nothing():
    predicted, target = maps(0), maps(1)
    target[:4] = IGNORE
    assert (confusion_KK(predicted, target, 3) == confusion_KK(predicted[4:], target[4:], 3)).all()


def test_a_class_in_neither_is_left_out_and_named_a_class_without_targets_counts_zero():
    target = np.zeros((8, 8), dtype=np.uint8)
    found = TASK.measure(evidence([(target, target)]))
    assert found["mean_iou"] == 1.0
    assert found["undefined"] == ["can", "glass"]
    predicted = target.copy()
    predicted[0] = 1
    found = TASK.measure(evidence([(predicted, target)]))
    assert found["per_class"][1]["iou"] == 0.0
    assert found["per_class"][2]["iou"] is None
    assert found["mean_iou"] == pytest.approx((56 / 64 + 0) / 2)


def test_the_mean_is_over_the_data_set_not_by_image():
    """One image full of cans, one with a single can pixel that is missed: 64 of 65 pixels, not half."""
    full, none = np.ones((8, 8), dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)
    single = none.copy()
    single[3, 3] = 1
    found = TASK.measure(evidence([(full, full), (none, single)]))
    assert found["per_class"][1]["iou"] == pytest.approx(64 / 65)


def test_any_subset_has_the_metrics_of_its_images():
    pairs = [(maps(k), maps(k + 50)) for k in range(6)]
    whole = evidence(pairs)
    part = TASK.measure(whole.rows(np.array([4, 1])))
    assert part["mean_iou"] == TASK.measure(evidence([pairs[4], pairs[1]]))["mean_iou"]


def test_boundary_f():
    """Equal maps: 1. A shift by one pixel lies within the tolerance of at least one pixel, a shift by five does not."""
    target = np.zeros((40, 40), dtype=np.uint8)
    target[10:30, 10:30] = 1
    assert boundary_f_K(boundary_counts(target, target, 2))[1] == 1.0
    near, far = np.roll(target, 1, axis=1), np.roll(target, 5, axis=1)
    assert boundary_f_K(boundary_counts(near, target, 2))[1] == 1.0
    assert boundary_f_K(boundary_counts(far, target, 2))[1] < 0.7


def test_the_class_map_of_a_large_image_is_that_of_the_resized_logits():
    logits = np.random.default_rng(0).normal(size=(4, 9, 11)).astype(np.float32)
    reference = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], (50, 73), mode="bilinear")[0]
    assert (class_map(logits, (50, 73)) == reference.argmax(dim=0).numpy()).mean() > 0.999


def test_the_loss_and_its_gradient_are_those_of_the_pixels_that_count():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (2, 6, 6)).to(torch.uint8)
    label[0, :3] = IGNORE
    loss_B = TASK.loss(logits, MaskTargets.of(label, TASK, 3))
    by_hand = torch.nn.functional.cross_entropy(logits[0, :, 3:].reshape(3, -1).T, label[0, 3:].reshape(-1).long())
    assert loss_B[0].item() == pytest.approx(by_hand.item())
    (gradient,) = torch.autograd.grad(loss_B.sum(), logits)
    assert (gradient[0, :, :3] == 0).all()


def test_images_without_any_labelled_pixel_are_named():
    ignored = np.full((6, 6), IGNORE, dtype=np.uint8)
    with pytest.raises(DataError, match="none of the 1 images has a labelled pixel"):
        TASK.measure(evidence([(maps(0, (6, 6)), ignored)]))


def test_an_image_without_a_label_has_no_loss():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss_B = TASK.loss(logits, MaskTargets.of(torch.full((1, 4, 4), IGNORE, dtype=torch.uint8), TASK, 3))
    loss_B.sum().backward()
    assert loss_B.item() == 0
    assert logits.grad.isfinite().all()


def test_a_mixed_target_has_the_mixed_loss():
    logits = torch.randn(2, 3, 4, 4)
    own = MaskTargets.of(torch.randint(0, 3, (2, 4, 4)).to(torch.uint8), TASK, 3)
    partner, weight = torch.tensor([1, 0]), torch.tensor([0.7, 0.2])
    expected = weight * TASK.loss(logits, own) + (1 - weight) * TASK.loss(logits, own[partner])
    assert torch.allclose(TASK.loss(logits, own.mix(partner, weight)), expected)


def test_flips_are_undone():
    outputs = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(TASK.undo(outputs.flip(-1), (-1,)), outputs)
    assert torch.equal(TASK.undo(outputs.flip((-2, -1)), (-1, -2)), outputs)


def test_several_networks_are_combined_by_their_probabilities():
    outputs = torch.randn(2, 3, 4, 5, 6)
    mean = outputs.softmax(dim=2).mean(dim=1)
    assert torch.allclose(TASK.combine(outputs).softmax(dim=1), mean, atol=1e-6)


def test_classes_in_another_order():
    pairs = [(maps(3), maps(4))]
    found = TASK.with_classes(evidence(pairs), ("glass", "background", "can", "paper"))
    before, after = TASK.measure(evidence(pairs)), TASK.measure(found)
    assert after["mean_iou"] == before["mean_iou"]
    assert after["undefined"] == ["paper"]
    assert [row["iou"] for row in after["per_class"][:3]] == [before["per_class"][k]["iou"] for k in (2, 0, 1)]


def test_the_interval_of_the_mean_covers():
    """Of 200 draws of 60 images, about 95 % of the intervals hold the mean IoU of all images."""
    rng = np.random.default_rng(5)
    counts = []
    for _ in range(4000):
        pixels, right = rng.integers(50, 400), rng.beta(6, 2)
        can = int(pixels * right)
        wrong = int(rng.integers(0, 60))
        counts.append([[1000 - wrong, wrong], [pixels - can, can]])
    stats = np.array(counts, dtype=float).reshape(len(counts), 4)
    stats = np.concatenate([stats, np.zeros((len(stats), 8))], axis=1)
    ids = np.array([f"{n:05d}" for n in range(len(stats))])
    whole = TASK.evidence(("background", "can"), ids, np.zeros(len(ids)), stats)
    truth = TASK.metrics["mean_iou"].value(whole)
    inside = 0
    for _ in range(200):
        low, high = TASK.measure(whole.rows(rng.choice(len(ids), 60, replace=False)))["mean_iou_interval"]
        inside += low <= truth <= high
    assert 180 <= inside <= 199


def test_a_class_is_found_by_the_share_of_its_pixels_in_every_image_that_has_it():
    first, second = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    first[0] = 1
    predicted = first.copy()
    predicted[0, 0] = 0
    found = TASK.found_by_class(evidence([(predicted, first), (second, second)]))
    assert found.keys() == {"background", "can"}  # nothing has glass
    assert found["can"].tolist() == [0.75]
    assert found["background"].tolist() == [1.0, 1.0]


def test_boundaries_of_a_large_image_are_those_of_the_image_reduced(monkeypatch):
    """Enlarged three times by copying pixels, a pair of maps has the counts of the small pair if these are compared."""
    target = np.zeros((80, 60), np.uint8)
    target[20:50, 15:40] = 1
    predicted = np.roll(target, 4, axis=1)
    expected = boundary_counts(predicted, target, 2)
    monkeypatch.setattr("whet.tasks.semantic_segmentation.BOUNDARY_SIDE", 80)
    large = [np.repeat(np.repeat(one, 3, axis=0), 3, axis=1) for one in (predicted, target)]
    assert (boundary_counts(*large, 2) == expected).all()
