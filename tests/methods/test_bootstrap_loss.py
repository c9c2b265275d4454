import pytest
import torch
import torch.nn.functional as F

from whet.core.targets import ClassTargets
from whet.methods import BootstrapLoss
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
LABELS = torch.tensor([0, 2, 1, 1])


def test_soft_is_the_paper_s_formula(outcome, context):
    """Equation 6: -sum (beta t + (1 - beta) q) log q."""
    loss = BootstrapLoss(beta=0.9).wrap_loss(task_loss, None, context())(outcome(LOGITS, LABELS))
    q = LOGITS.softmax(dim=1)
    assert torch.allclose(loss, -((0.9 * F.one_hot(LABELS, 3) + 0.1 * q) * q.log()).sum(dim=1), rtol=1e-6)


def test_hard_is_the_paper_s_formula(outcome, context):
    """Equation 7: the likeliest class in the place of q."""
    loss = BootstrapLoss(beta=0.8, prediction="hard").wrap_loss(task_loss, None, context())(outcome(LOGITS, LABELS))
    log_q = LOGITS.log_softmax(dim=1)
    decided = log_q.max(dim=1).values
    given = log_q[torch.arange(4), LABELS]
    assert torch.allclose(loss, -(0.8 * given + 0.2 * decided), rtol=1e-6)


def test_soft_is_cross_entropy_with_a_reward_for_certainty(outcome, context):
    """The gradient flows through the prediction too: beta * cross-entropy + (1 - beta) * entropy."""
    z = LOGITS.clone().requires_grad_()
    BootstrapLoss(beta=0.9).wrap_loss(task_loss, None, context())(
        outcome(LOGITS, LABELS).with_logits(z)
    ).sum().backward()
    other = LOGITS.clone().requires_grad_()
    q = other.softmax(dim=1)
    entropy = -(q * q.log()).sum(dim=1)
    (0.9 * F.cross_entropy(other, LABELS, reduction="none") + 0.1 * entropy).sum().backward()
    assert torch.allclose(z.grad, other.grad, rtol=1e-6)


def test_all_of_the_label_is_no_change(context):
    assert BootstrapLoss(beta=1).wrap_loss(task_loss, None, context()) is task_loss


@pytest.mark.parametrize("prediction", ["soft", "hard"])
def test_labels_one_by_one_where_several_may_be_true(outcome, context, prediction):
    t = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.float64)
    given = outcome(LOGITS, LABELS).with_targets(ClassTargets(t, MULTI_LABEL))
    loss = BootstrapLoss(beta=0.8, prediction=prediction).wrap_loss(task_loss, None, context())(given)
    q = LOGITS.sigmoid() if prediction == "soft" else (LOGITS > 0).double()
    believed = 0.8 * t + 0.2 * q
    expected = F.binary_cross_entropy(LOGITS.sigmoid(), believed, reduction="none").sum(dim=1)
    assert torch.allclose(loss, expected, rtol=1e-9)
