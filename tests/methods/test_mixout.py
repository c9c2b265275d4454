import pytest
import torch
from torch import nn

from whet.core.rng import Rng
from whet.methods import Mixout
from whet.methods.transfer.mixout import Mixed
from whet.testing.bench import make_bench, train_steps

P = 0.7


def weights(count=200_000):
    with Rng(0).torch_scope("weights"):
        return torch.randn(count, dtype=torch.float64), torch.randn(count, dtype=torch.float64)


def mixed(start, weight):
    with Rng(1).torch_scope("model"):
        return Mixed(start, P).train()(weight)


def test_each_weight_is_put_back_or_the_paper_s_value():
    """(mask * start + (1 - mask) * weight - p * start) / (1 - p), mask 1 with probability p."""
    start, weight = weights()
    found = mixed(start, weight)
    mask = (found == start).double()
    expected = (mask * start + (1 - mask) * weight - P * start) / (1 - P)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert mask.mean() == pytest.approx(P, abs=0.005)


def test_its_expectation_is_the_weight():
    start, weight = weights(50)
    draws = mixed(start.repeat(20_000), weight.repeat(20_000)).view(20_000, 50)
    error = (draws.mean(dim=0) - weight) / (draws.std(dim=0) / 20_000**0.5)
    assert error.abs().max() < 4.5  # standard errors, of 50


def test_gradients_reach_only_the_weights_that_were_not_put_back():
    start, weight = weights(1000)
    weight.requires_grad_()
    found = mixed(start, weight)
    found.sum().backward()
    kept = found.detach() != start
    assert torch.allclose(weight.grad, kept.double() / (1 - P))


def test_prediction_sees_the_weights_themselves(net, context):
    made = Mixout().change(net(), context()).eval()
    x = torch.linspace(-1, 1, 2 * 3 * 81).view(2, 3, 9, 9)
    assert torch.equal(made(x), net().eval()(x))
    assert made.baked().state_dict().keys() == net().state_dict().keys()


def test_it_goes_back_to_the_start_and_not_to_zero():
    """All but all put back at every step: what the network answers in training stays what it answered at the start."""
    bench = make_bench((Mixout(prob=0.9999),))
    layer = bench.plan.net.backbone[0]
    first = layer.parametrizations.weight.original.detach().clone()
    train_steps(bench, 3)
    with Rng(3).torch_scope("model"):
        assert torch.equal(layer.train().weight, first)
    assert isinstance(layer, nn.Conv2d)
