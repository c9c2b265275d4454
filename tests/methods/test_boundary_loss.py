import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from whet.methods import BoundaryLoss
from whet.methods.balance.boundary_loss import boundary_loss, signed_distance
from whet.training.plan import task_loss


def square():
    label = np.zeros((12, 16), dtype=np.uint8)
    label[3:8, 4:11] = 1
    return label


def test_distances_are_those_of_scipy_less_half_a_pixel():
    inside = square() == 1
    expected = np.where(inside, 0.5 - distance_transform_edt(inside), distance_transform_edt(~inside) - 0.5) / 20
    assert signed_distance(square(), 1) == pytest.approx(expected, abs=1e-6)
    assert signed_distance(square(), 0) == pytest.approx(-expected, abs=1e-6)
    assert not signed_distance(square(), 2).any()


def test_ignored_pixels_are_on_neither_side():
    label = square()
    label[:, 11:13] = 255
    found = signed_distance(label, 1) * 20
    assert found[5, 10] == pytest.approx(-2.5)  # to the row below, not to the ignored column beside it
    assert found[5, 13] == pytest.approx(2.5)


def test_it_is_the_mean_of_probability_times_distance(pixels):
    logits, label = pixels((12, 16))
    probs, valid = logits.softmax(dim=1), label != 255
    loss = boundary_loss(probs, label.to(torch.uint8))
    for image in range(2):
        distance = np.stack([signed_distance(label[image].numpy().astype(np.uint8), k) for k in range(3)])
        products = (probs[image].numpy() * distance).sum(axis=0)
        assert loss[image].item() == pytest.approx(products[valid[image].numpy()].mean())


def test_its_weight_rises(masked, pixels):
    loss = BoundaryLoss(weight=0.6).wrap_loss(task_loss, None, None)
    given, (logits, label) = masked(*pixels()), pixels()
    assert torch.allclose(loss(given), task_loss(given))
    own = boundary_loss(logits.softmax(dim=1), label.to(torch.uint8))
    assert torch.allclose(loss(masked(logits, label, step=50)), 0.7 * task_loss(given) + 0.3 * own)
