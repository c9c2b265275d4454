import numpy as np
import pytest
import torch

from whet.methods import OHEM, ClassWeight, Focal
from whet.training.plan import task_loss


def losses_of_pixels(logits, label):
    return torch.nn.functional.cross_entropy(logits, label, ignore_index=255, reduction="none")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_it_is_the_mean_of_the_hardest_pixels(masked, pixels, share):
    logits, label = pixels()
    loss = OHEM(share=share).wrap_loss(task_loss, None, None)(masked(logits, label))
    for image in range(2):
        losses = np.sort(losses_of_pixels(logits, label)[image][label[image] != 255].numpy())[::-1]
        assert loss[image].item() == pytest.approx(losses[: int(np.ceil(share * len(losses)))].mean())


def test_easy_pixels_have_no_gradient(masked, pixels):
    logits, label = pixels()
    logits.requires_grad_()
    loss = OHEM(share=0.25).wrap_loss(task_loss, None, None)(masked(logits, label))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert (gradient.abs().sum(dim=1) > 0).sum(dim=(1, 2)).tolist() == [10, 10]  # a quarter of 40


def test_it_chooses_by_the_loss_that_it_wraps(masked, pixels):
    given = masked(*pixels())
    focal = Focal(gamma=2).wrap_loss(task_loss, None, None)
    both = OHEM(share=0.25).wrap_loss(focal, None, None)(given)
    assert (both > focal(given)).all()
    assert (both < OHEM(share=0.25).wrap_loss(task_loss, None, None)(given)).all()


def test_with_class_weights_the_kept_pixels_have_theirs(masked, pixels):
    logits, label = pixels()
    weight = torch.tensor([0.5, 1.0, 4.0])

    def weighted(outcome):
        return outcome.batch.targets.weighted(lambda same: task_loss(outcome.with_targets(same)), weight)

    found = OHEM(share=0.25).wrap_loss(weighted, None, None)(masked(logits, label))
    for image in range(2):
        hardest = losses_of_pixels(logits, label)[image].flatten().topk(10)
        kept = label[image].flatten()[hardest.indices]
        assert found[image].item() == pytest.approx((weight[kept] * hardest.values).mean().item())
    assert ClassWeight.order < OHEM.order
