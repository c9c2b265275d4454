from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, kl_divergence

from whet.core.errors import NoEffectError
from whet.methods import Dropout, RDrop, StochasticDepth
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss

FIRST = torch.tensor([[0.1, 2.0, -1.0], [1.0, -1.0, 0.0]], dtype=torch.float64)
SECOND = torch.tensor([[0.4, 1.0, -2.0], [1.0, 1.0, 0.5]], dtype=torch.float64)


class Second(nn.Module):
    """A model whose next answer is known."""

    def forward(self, x):
        return SECOND


def dropping(net):
    net.head = nn.Sequential(nn.Dropout(0.5), net.head)
    return net


def test_the_paper_s_formula(net, outcome, context):
    given = outcome(FIRST, [1, 2], Second())
    loss = RDrop(alpha=0.7).wrap_loss(task_loss, dropping(net()), context())(given)
    p, q = Categorical(logits=FIRST), Categorical(logits=SECOND)
    nll = task_loss(given) + task_loss(outcome(SECOND, [1, 2]))  # equation 4 of the paper, halved
    both = (kl_divergence(p, q) + kl_divergence(q, p)) / 2
    assert torch.allclose(loss, nll / 2 + 0.7 * both, atol=1e-6)


def test_equal_answers_cost_nothing(net, outcome, context):
    given = replace(outcome(SECOND, [1, 2], Second()), logits_BK=SECOND)
    loss = RDrop(alpha=5.0).wrap_loss(task_loss, dropping(net()), context())(given)
    assert torch.allclose(loss, task_loss(given), atol=1e-6)


def test_without_anything_dropped_it_says_so(net, context):
    with pytest.raises(NoEffectError, match="both predictions are the same"):
        RDrop().wrap_loss(task_loss, net(), context())
    bench = make_bench((RDrop(), StochasticDepth()), architecture="resnet9_slim")
    assert bench.plan.ineffective == []


def test_answers_under_other_dropout_come_closer():
    """The divergence between two passes, after a training with it and without."""

    def apart(*methods):
        bench = make_bench((Dropout(prob=0.5), *methods))
        train_steps(bench, 60)
        net, x = bench.plan.net.train(), bench.batch(0).x
        with torch.no_grad(), bench.plan.rng.torch_scope("passes"):
            answers = [Categorical(logits=net(x)) for _ in range(40)]
        return float(np.mean([kl_divergence(p, q).mean() for p, q in zip(answers[::2], answers[1::2])]))

    assert apart(RDrop(alpha=5.0)) < 0.8 * apart()
