from dataclasses import replace

import torch
from torch.distributions import Bernoulli, Categorical

from whet.core.targets import ClassTargets
from whet.methods import ConfidencePenalty
from whet.tasks import MULTI_LABEL
from whet.training.plan import task_loss

LOGITS = torch.tensor([[0.1, 2.0, -1.0], [40.0, -40.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def test_it_takes_the_entropy_off_the_loss(outcome, context):
    given = outcome(LOGITS, [1, 2, 0])
    loss = ConfidencePenalty(strength=0.3).wrap_loss(task_loss, None, context())(given)
    assert torch.allclose(task_loss(given) - loss, 0.3 * Categorical(logits=LOGITS).entropy())


def test_with_several_labels_it_is_the_sum_of_theirs(outcome, context):
    given = outcome(LOGITS, [1, 2, 0])
    given = given.with_targets(ClassTargets(given.batch.targets.probs_BK, MULTI_LABEL))
    loss = ConfidencePenalty(strength=0.3).wrap_loss(task_loss, None, context())(given)
    assert torch.allclose(task_loss(given) - loss, 0.3 * Bernoulli(logits=LOGITS).entropy().sum(dim=1))


def test_the_best_answer_is_no_longer_certain(outcome, context):
    """Minimising log-loss alone drives the logits on for ever; with the penalty they stop where the gradient is zero."""
    penalised = ConfidencePenalty(strength=0.5).wrap_loss(task_loss, None, context())
    given, logits = outcome(torch.zeros(1, 3), [0]), torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = penalised(replace(given, logits_BK=logits)).sum()
        loss.backward()
        return loss

    solver.step(closure)
    p = logits.detach().softmax(dim=1)[0]
    assert 0.5 < p[0] < 0.99
    assert torch.allclose(p[1], p[2])
