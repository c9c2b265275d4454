import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Outcome
from whet.methods import JsdConsistency
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench
from whet.training.plan import task_loss


def outcome_of(logits_CBK):
    C, B, K = logits_CBK.shape
    targets = SINGLE_LABEL.targets(torch.arange(B).repeat(C) % K, K)
    batch = Batch(torch.zeros(C * B, 1), targets, np.tile(np.arange(B), C), torch.ones(C * B))
    return Outcome(logits_CBK.reshape(C * B, K), batch, None)


def test_it_adds_the_divergence_of_the_three_answers():
    logits = torch.linspace(-2, 2, 3 * 4 * 5, dtype=torch.float64).sin().mul(3).view(3, 4, 5)
    loss_R = JsdConsistency(weight=2.0).wrap_loss(task_loss, None, None)(outcome_of(logits))
    probs = logits.softmax(dim=2).numpy()
    mean = probs.mean(axis=0)
    divergence = [np.mean([(p * np.log(p / m)).sum() for p in probs[:, i]]) for i, m in enumerate(mean)]
    clean = task_loss(outcome_of(logits[:1]))
    assert loss_R.view(3, 4)[0].numpy() == pytest.approx(clean.numpy() + 2 * np.array(divergence), rel=1e-5)
    assert torch.equal(loss_R.view(3, 4)[0], loss_R.view(3, 4)[2])  # so that the mean over rows is that over samples


def test_equal_answers_cost_nothing():
    logits = torch.tensor([[1.0, 2.0, 0.5]]).repeat(3, 1, 1)
    loss = JsdConsistency().wrap_loss(task_loss, None, None)(outcome_of(logits))
    assert torch.allclose(loss, task_loss(outcome_of(logits)), atol=1e-5)


def test_a_batch_holds_every_sample_three_times():
    batch = make_bench((JsdConsistency(),)).batch(0)
    assert len(batch.x) == 3 * 8
    assert (batch.index_B[:8] == batch.index_B[8:16]).all()
    assert len(make_bench((JsdConsistency(weight=0.0),)).batch(0).x) == 8
