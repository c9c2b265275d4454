import numpy as np
import pytest
import torch

from whet.core.targets import ClassTargets
from whet.methods import Focal
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_it_is_the_paper_s_formula(outcome, context, gamma):
    labels = [0, 2, 1, 1]
    loss = Focal(gamma=gamma).wrap_loss(task_loss, None, context())(outcome(LOGITS, labels))
    p = LOGITS.softmax(dim=1).numpy()[np.arange(4), labels]
    assert loss.numpy() == pytest.approx(-((1 - p) ** gamma) * np.log(p), rel=1e-12)


def test_gamma_zero_is_cross_entropy_and_so_is_its_limit(outcome, context):
    assert Focal(gamma=0).wrap_loss(task_loss, None, context()) is task_loss
    given = outcome(LOGITS, [0, 2, 1, 1])
    nearly = Focal(gamma=1e-9).wrap_loss(task_loss, None, context())(given)
    assert torch.allclose(nearly, task_loss(given), atol=1e-6)


def test_labels_one_by_one_where_several_may_be_true(outcome, context):
    t = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0.5, 1]], dtype=torch.float64)
    given = outcome(LOGITS, [0, 0, 0, 0]).with_targets(ClassTargets(t, MULTI_LABEL))
    loss = Focal(gamma=2).wrap_loss(task_loss, None, context())(given)
    p = LOGITS.sigmoid()
    expected = -(t * (1 - p) ** 2 * p.log() + (1 - t) * p**2 * (1 - p).log()).sum(dim=1)
    assert torch.allclose(loss, expected, rtol=1e-10)


def test_an_easy_sample_loses_far_more_weight_than_a_hard_one(outcome, context):
    given = outcome([[5.0, 0.0], [0.0, 1.0]], [0, 0])
    share = Focal().wrap_loss(task_loss, None, context())(given) / task_loss(given)
    assert share[0] < 1e-4
    assert share[1] > 0.5


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_of_masks_it_is_the_mean_over_the_pixels(masked, pixels, gamma):
    logits, label = pixels()
    loss = Focal(gamma=gamma).wrap_loss(task_loss, None, None)(masked(logits, label))
    for image in range(2):
        valid = label[image] != 255
        p = logits[image].softmax(dim=0)[:, valid].gather(0, label[image][valid][None])[0]
        assert loss[image].item() == pytest.approx((-((1 - p) ** gamma) * p.log()).mean().item(), rel=1e-9)
