import numpy as np
import pytest
import torch

from whet.core.errors import NoEffectError
from whet.methods import LogitAdjustment
from whet.training.plan import task_loss

COUNTS = (60, 30, 10)


@pytest.mark.parametrize("tau", [0.3, 1.0, 2.0])
def test_it_is_the_paper_s_formula(outcome, context, tau):
    """Equation 11: log(1 + sum over other classes of (share_j / share_y)^tau exp(f_j - f_y))."""
    logits, labels = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3), [0, 2, 1, 1]
    loss = LogitAdjustment(tau=tau).wrap_loss(task_loss, None, context(COUNTS))(outcome(logits, labels))
    share = np.array(COUNTS) / 100
    for row, y, value in zip(logits.numpy(), labels, loss.tolist()):
        others = [(share[j] / share[y]) ** tau * np.exp(row[j] - row[y]) for j in range(3) if j != y]
        assert value == pytest.approx(np.log1p(sum(others)), rel=1e-12)


def test_at_one_it_learns_bayes_rule_for_even_classes_and_between_the_rest(line, context):
    counts = (3000, 150)
    for tau in (0.5, 1.0, 1.5):
        slope, intercept = line(LogitAdjustment(tau=tau).wrap_loss(task_loss, None, context(counts)), counts)
        assert slope == pytest.approx(2, abs=0.05)
        assert intercept == pytest.approx((tau - 1) * np.log(3000 / 150), abs=0.1)


def test_zero_is_nothing_and_even_classes_are_told(context):
    assert LogitAdjustment(tau=0).wrap_loss(task_loss, None, context(COUNTS)) is task_loss
    with pytest.raises(NoEffectError, match="same number"):
        LogitAdjustment().wrap_loss(task_loss, None, context((5, 5)))


def test_an_empty_class_is_taken_for_one_sample(outcome, context):
    loss = LogitAdjustment().wrap_loss(task_loss, None, context((9, 0)))(outcome([[0.0, 0.0]], [1]))
    assert float(loss) == pytest.approx(np.log1p(9))
