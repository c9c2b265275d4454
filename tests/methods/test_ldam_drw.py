from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whet.core.batch import Progress
from whet.core.errors import NoEffectError
from whet.methods import LdamDrw
from whet.methods.balance.class_weight import class_weights
from whet.training.plan import task_loss

COUNTS = np.array([625, 81, 16])
LOGITS = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
LABELS = torch.tensor([0, 2, 1, 1])


def loss_at(step, outcome, context, **settings):
    given = replace(outcome(LOGITS, LABELS), progress=Progress(step, 100, 10))
    return LdamDrw(**settings).wrap_loss(task_loss, None, context(COUNTS))(given)


def test_the_margin_is_taken_off_the_right_logit_before_cross_entropy(outcome, context):
    """Margins go with n^(-1/4): 625, 81 and 16 samples give 1/5, 1/3 and 1/2, here scaled to 2 at most."""
    margin = torch.tensor([0.8, 4 / 3, 2.0], dtype=torch.float64)
    lowered = LOGITS - margin * F.one_hot(LABELS, 3)
    expected = F.cross_entropy(lowered, LABELS, reduction="none")
    assert torch.allclose(loss_at(0, outcome, context, max_margin=2.0), expected, rtol=1e-12)


def test_weights_set_in_when_they_are_due(outcome, context):
    plain = loss_at(79, outcome, context)
    assert torch.equal(plain, loss_at(0, outcome, context))
    weights = torch.tensor(class_weights(COUNTS, "effective_number", 0.9999))
    assert torch.allclose(loss_at(80, outcome, context), plain * weights[LABELS], rtol=1e-12)


def test_without_margin_and_weights_it_is_cross_entropy(outcome, context):
    assert LdamDrw(max_margin=0, defer="1dur").wrap_loss(task_loss, None, context(COUNTS)) is task_loss
    loss = loss_at(99, outcome, context, max_margin=1e-12, defer="1dur")
    assert torch.allclose(loss, F.cross_entropy(LOGITS, LABELS, reduction="none"), atol=1e-9)


def test_a_learnt_line_keeps_further_off_the_rare_class(line, context):
    """On two Gaussians the point of indecision moves towards the common class."""
    counts = (3000, 150)
    method = LdamDrw(max_margin=4.0, defer="1dur")
    slope, intercept = line(method.wrap_loss(task_loss, None, context(counts)), counts)
    plain_slope, plain_intercept = line(task_loss, counts)
    assert -intercept / slope < -plain_intercept / plain_slope - 0.05


def test_even_classes_are_told(context):
    with pytest.raises(NoEffectError, match="same number"):
        LdamDrw().wrap_loss(task_loss, None, context((5, 5)))
