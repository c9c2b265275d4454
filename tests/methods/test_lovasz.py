import numpy as np
import pytest
import torch

from whet.methods import Lovasz
from whet.methods.balance.lovasz import lovasz_softmax
from whet.training.plan import task_loss


def jaccard_loss(wrong, target):
    """1 - |target minus wrong| / |target or wrong|: the Jaccard loss of the set of wrongly predicted pixels."""
    return 1 - (target & ~wrong).sum() / max((target | wrong).sum(), 1)


def extension(error, target):
    """The Lovász extension by its definition: the errors, descending, times the increments of the set function."""
    order, wrong, total, before = np.argsort(-error, kind="stable"), np.zeros(len(error), dtype=bool), 0.0, 0.0
    for place in order:
        wrong[place] = True
        now = jaccard_loss(wrong, target)
        total, before = total + error[place] * (now - before), now
    return total


def test_it_is_the_definition(masked, pixels):
    logits, label = pixels()
    label[1][label[1] == 1] = 2
    loss = Lovasz(weight=1.0, stride=1).wrap_loss(task_loss, None, None)(masked(logits, label))
    for image in range(2):
        valid = label[image].numpy() != 255
        p, t = logits[image].softmax(dim=0).numpy()[:, valid], label[image].numpy()[valid]
        found = [extension(np.abs((t == k) - p[k]), t == k) for k in np.unique(t)]
        assert loss[image].item() == pytest.approx(np.mean(found))


def test_of_a_hard_map_it_is_one_minus_iou():
    label = torch.tensor([[[0, 0, 1, 1, 1, 0]]], dtype=torch.uint8)
    shown = torch.tensor([[[0, 1, 1, 1, 0, 0]]])
    probs = torch.nn.functional.one_hot(shown, 2).permute(0, 3, 1, 2).double()
    assert lovasz_softmax(probs, label).item() == pytest.approx(1 - (2 / 4 + 2 / 4) / 2)


def test_a_stride_uses_the_pixels_in_the_middle(masked, pixels):
    logits, label = pixels()
    coarse = Lovasz(weight=1.0, stride=2).wrap_loss(task_loss, None, None)(masked(logits, label))
    same = Lovasz(weight=1.0, stride=1).wrap_loss(task_loss, None, None)
    assert torch.equal(coarse, same(masked(logits[..., 1::2, 1::2], label[..., 1::2, 1::2])))
