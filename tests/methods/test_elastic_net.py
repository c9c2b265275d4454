import pytest
import torch

from whet.methods import L1, L2, ElasticNet
from whet.training.plan import task_loss


def test_value_and_gradient_are_those_of_the_formula(net, outcome, context):
    """strength (ratio |w| + (1 - ratio) / 2 w^2), as scikit-learn writes it."""
    model, given = net().double(), outcome([[1.0, 2.0, 0.5]], [0])
    penalised = ElasticNet(strength=0.02, ratio=0.3).wrap_loss(task_loss, model, context())
    added = penalised(given) - task_loss(given)
    weights = [p for p in model.parameters() if p.ndim > 1]
    expected = 0.02 * sum(0.3 * p.abs().sum() + 0.35 * p.square().sum() for p in weights)
    assert added.item() == pytest.approx(expected.item(), rel=1e-12)
    added.sum().backward()
    for weight in weights:
        assert torch.allclose(weight.grad, 0.02 * (0.3 * weight.sign() + 0.7 * weight).detach(), rtol=1e-12)
    assert all(p.grad is None for p in model.parameters() if p.ndim == 1)


@pytest.mark.parametrize(("ratio", "alone"), [(1.0, L1(strength=0.1)), (0.0, L2(strength=0.1))])
def test_at_the_ends_it_is_l1_or_l2(net, outcome, context, ratio, alone):
    model, given = net(), outcome([[1.0, 2.0, 0.5], [0.0, 0.1, 0.2]], [0, 2])
    ours = ElasticNet(strength=0.1, ratio=ratio).wrap_loss(task_loss, model, context())(given)
    assert torch.allclose(ours, alone.wrap_loss(task_loss, model, context())(given), rtol=1e-6)
