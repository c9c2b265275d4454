import numpy as np
import pytest
import torch

from whet.methods import Dice, Tversky
from whet.training.plan import task_loss


def by_hand(logits, label, image):
    """The mean over the classes of the image of 1 - 2 sum(p t) / (sum(p) + sum(t))."""
    valid = label[image].numpy() != 255
    p, t = logits[image].softmax(dim=0).numpy()[:, valid], label[image].numpy()[valid]
    return np.mean([1 - 2 * p[k][t == k].sum() / (p[k].sum() + (t == k).sum()) for k in np.unique(t)])


def test_it_is_the_formula(masked, pixels):
    logits, label = pixels()
    label[1][label[1] == 2] = 0  # a class that does not occur in the second image
    loss = Dice(weight=1.0).wrap_loss(task_loss, None, None)(masked(logits, label))
    assert loss.numpy() == pytest.approx([by_hand(logits, label, 0), by_hand(logits, label, 1)])


def test_a_perfect_map_costs_nothing(masked):
    label = torch.arange(2).repeat_interleave(8).view(1, 4, 4)
    logits = 60.0 * torch.nn.functional.one_hot(label, 2).permute(0, 3, 1, 2)
    assert Dice(weight=1.0).wrap_loss(task_loss, None, None)(masked(logits, label)).item() == pytest.approx(0, abs=1e-6)


def test_the_weight_mixes_it_with_cross_entropy(masked, pixels):
    given = masked(*pixels())
    whole = Dice(weight=1.0).wrap_loss(task_loss, None, None)(given)
    part = Dice(weight=0.3).wrap_loss(task_loss, None, None)(given)
    assert torch.allclose(part, 0.7 * task_loss(given) + 0.3 * whole)


def test_it_is_tversky_with_halves(masked, pixels):
    given = masked(*pixels())
    tversky = Tversky(alpha=0.5, beta=0.5).wrap_loss(task_loss, None, None)(given)
    assert torch.equal(Dice().wrap_loss(task_loss, None, None)(given), tversky)
