from dataclasses import replace

import pytest
import torch

from whet.core.errors import NoEffectError
from whet.core.targets import ClassTargets
from whet.methods import Asymmetric, Focal
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
MANY = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0.5, 1]], dtype=torch.float64)


@pytest.fixture
def loss_of(outcome, context):
    given = outcome(LOGITS, [0, 0, 0, 0]).with_targets(ClassTargets(MANY, MULTI_LABEL))
    return lambda method: method.wrap_loss(task_loss, None, replace(context(), task=MULTI_LABEL))(given)


@pytest.mark.parametrize(("positive", "negative", "margin"), [(0, 4, 0.05), (1, 4, 0.05), (2, 0.5, 0.2), (0, 3, 0)])
def test_it_is_the_paper_s_formula(loss_of, positive, negative, margin):
    p = LOGITS.sigmoid()
    q = (p - margin).clamp(min=0)
    expected = -(MANY * (1 - p) ** positive * p.log() + (1 - MANY) * q**negative * (1 - q).log()).sum(dim=1)
    assert torch.allclose(loss_of(Asymmetric(positive=positive, negative=negative, margin=margin)), expected, rtol=1e-9)


def test_without_margin_and_with_one_focus_it_is_focal(loss_of):
    assert torch.allclose(loss_of(Asymmetric(positive=2, negative=2, margin=0)), loss_of(Focal(gamma=2)), rtol=1e-12)


def test_with_nothing_set_it_is_binary_cross_entropy(outcome, context):
    nothing = Asymmetric(positive=0, negative=0, margin=0)
    assert nothing.wrap_loss(task_loss, None, replace(context(), task=MULTI_LABEL)) is task_loss


def test_what_is_ruled_out_costs_nothing_and_pulls_nowhere(outcome, context):
    logits = torch.full((1, 2), -4.0, requires_grad=True)  # probability 0.018
    given = outcome([[0.0, 0.0]], [0]).with_logits(logits).with_targets(ClassTargets(torch.zeros(1, 2), MULTI_LABEL))
    loss = Asymmetric(margin=0.05).wrap_loss(task_loss, None, replace(context(), task=MULTI_LABEL))(given)
    loss.sum().backward()
    assert float(loss.detach()) == 0
    assert (logits.grad == 0).all()


def test_samples_with_one_class_are_told(context):
    with pytest.raises(NoEffectError, match="exactly one class"):
        Asymmetric().wrap_loss(task_loss, None, context())
