import numpy as np
import pytest
import torch
from torch import nn

from whet.methods import SGD, Orthogonal
from whet.methods.regularize.orthogonal import distance
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import task_loss


def test_value_and_gradient_are_those_of_the_formula():
    """|W W' - 1|^2, whose gradient is 4 (W W' - 1) W."""
    weight = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 2, 2, 1).requires_grad_()
    W = weight.detach().numpy().reshape(3, 4)
    found = distance(weight)
    assert found.item() == pytest.approx(np.linalg.norm(W @ W.T - np.eye(3)) ** 2, rel=1e-12)
    found.backward()
    assert np.allclose(weight.grad.numpy().reshape(3, 4), 4 * (W @ W.T - np.eye(3)) @ W, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 3, 3, 3)])
def test_orthogonal_weights_cost_nothing(shape):
    weight = nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
    assert distance(weight).item() == pytest.approx(0, abs=1e-20)


def test_every_matrix_counts_and_grouped_convolutions_do_not(net, outcome, context):
    model, given = net().double(), outcome([[1.0, 2.0, 0.5]], [0])
    model.backbone.append(nn.Conv2d(6, 6, 3, groups=6))
    added = Orthogonal(strength=0.01).wrap_loss(task_loss, model, context())(given) - task_loss(given)
    layers = (model.backbone[0], model.backbone[3], model.head)
    assert added.item() == pytest.approx(0.01 * sum(distance(layer.weight).item() for layer in layers), rel=1e-9)


def test_training_with_it_ends_nearer_to_orthogonal():
    def apart(*methods):
        bench = make_bench((SGD(lr=0.02, momentum=0.0), *methods))
        train_steps(bench, 30)
        return float(distance(bench.plan.net.backbone[0].weight.detach()))

    assert apart(Orthogonal(strength=1.0)) < 0.5 * apart()
