import numpy as np
import pytest
import torch

from whet.core.targets import ClassTargets
from whet.methods import GeneralizedCrossEntropy
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
LABELS = [0, 2, 1, 1]


def loss_of(given, context, q):
    return GeneralizedCrossEntropy(q=q).wrap_loss(task_loss, None, context())(given)


@pytest.mark.parametrize("q", [0.2, 0.7, 1.0])
def test_it_is_the_paper_s_formula(outcome, context, q):
    p = LOGITS.softmax(dim=1).numpy()[np.arange(4), LABELS]
    assert loss_of(outcome(LOGITS, LABELS), context, q).numpy() == pytest.approx((1 - p**q) / q, rel=1e-12)


def test_its_limits_are_cross_entropy_and_mean_absolute_error(outcome, context):
    given = outcome(LOGITS, LABELS)
    assert GeneralizedCrossEntropy(q=0).wrap_loss(task_loss, None, context()) is task_loss
    assert torch.allclose(loss_of(given, context, 1e-8), task_loss(given), atol=1e-6)
    distance = (given.batch.targets.probs_BK - LOGITS.softmax(dim=1)).abs().sum(dim=1)
    assert torch.allclose(loss_of(given, context, 1.0), distance / 2)


def test_no_sample_costs_more_than_one_over_q(outcome, context):
    assert float(loss_of(outcome([[80.0, 0.0]], [1]), context, 0.7)) == pytest.approx(1 / 0.7)


def test_at_one_all_labels_together_cost_the_same_whatever_the_answer(outcome, context):
    """The symmetry that makes it blind to labels exchanged evenly (Ghosh et al. 2017)."""
    total = sum(loss_of(outcome(LOGITS, [k] * 4), context, 1.0) for k in range(3))
    assert torch.allclose(total, torch.full_like(total, 2.0))


def test_labels_one_by_one_where_several_may_be_true(outcome, context):
    t = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0.5, 1]], dtype=torch.float64)
    given = outcome(LOGITS, LABELS).with_targets(ClassTargets(t, MULTI_LABEL))
    p = LOGITS.sigmoid()
    expected = (t * (1 - p**0.7) / 0.7 + (1 - t) * (1 - (1 - p) ** 0.7) / 0.7).sum(dim=1)
    assert torch.allclose(loss_of(given, context, 0.7), expected, rtol=1e-10)
