import numpy as np
import pytest
import torch

from whet.core.errors import NoEffectError
from whet.methods import BalancedSoftmax, LogitAdjustment
from whet.training.plan import task_loss

COUNTS = (60, 30, 10)
LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)


def test_it_is_the_paper_s_formula(outcome, context):
    labels = [0, 2, 1, 1]
    loss = BalancedSoftmax().wrap_loss(task_loss, None, context(COUNTS))(outcome(LOGITS, labels))
    weighted = np.array(COUNTS) * np.exp(LOGITS.numpy())
    expected = -np.log(weighted[np.arange(4), labels] / weighted.sum(axis=1))
    assert loss.numpy() == pytest.approx(expected, rel=1e-12)


def test_it_is_logit_adjustment_at_one(outcome, context):
    given = outcome(LOGITS, [0, 2, 1, 1])
    one = LogitAdjustment(tau=1).wrap_loss(task_loss, None, context(COUNTS))
    assert torch.equal(BalancedSoftmax().wrap_loss(task_loss, None, context(COUNTS))(given), one(given))


def test_what_it_learns_is_bayes_rule_for_even_classes(line, context):
    counts = (3000, 150)
    assert line(task_loss, counts)[1] == pytest.approx(np.log(150 / 3000), abs=0.1)
    slope, intercept = line(BalancedSoftmax().wrap_loss(task_loss, None, context(counts)), counts)
    assert slope == pytest.approx(2, abs=0.05)
    assert intercept == pytest.approx(0, abs=0.05)


def test_even_classes_are_told(context):
    with pytest.raises(NoEffectError, match="same number"):
        BalancedSoftmax().wrap_loss(task_loss, None, context((5, 5)))
