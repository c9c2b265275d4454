import pytest
import torch

from whet.core.rng import Rng
from whet.methods import SGD, WeightNoise
from whet.testing.bench import make_bench, train_steps


def test_the_noise_has_the_stated_share_of_the_weights_size(net, context):
    changed = WeightNoise(strength=0.2).change(net(features=200), context()).train()
    layer = changed.backbone[3]
    original = layer.parametrizations.weight.original.detach()
    with torch.no_grad(), Rng(0).torch_scope("model", 0):
        noise = torch.stack([layer.weight - original for _ in range(20)])
    size = original.square().mean().sqrt()
    assert noise.std().item() == pytest.approx(0.2 * size.item(), rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01 * size.item())


def test_prediction_and_what_is_saved_are_without_it(net, context):
    plain = net().eval()
    expected, x = plain.state_dict(), torch.linspace(-1, 1, 2 * 3 * 64).view(2, 3, 8, 8)
    answer = plain(x)
    changed = WeightNoise(strength=0.5).change(net(), context())
    with Rng(0).torch_scope("model", 0):
        changed.train().backbone[0](x)
    baked = changed.eval().baked()
    assert torch.equal(changed(x), answer)
    assert all(torch.equal(baked.state_dict()[name], tensor) for name, tensor in expected.items())


def test_one_step_one_draw(net, context):
    changed = WeightNoise(strength=0.5).change(net(), context()).train()
    draws = []
    for step in (3, 3, 4):
        with Rng(1).torch_scope("model", step):
            draws.append(changed.backbone[0].weight.detach())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_step_moves_the_weights_without_their_noise(net):
    """Plain gradient descent: w <- w - lr * gradient at the noisy weights; the noise itself leaves no trace."""
    bench = make_bench((SGD(lr=0.1, momentum=0.0), WeightNoise(strength=0.3)))
    weight = bench.plan.net.backbone[0].parametrizations.weight.original
    before = weight.detach().clone()
    train_steps(bench, 1)
    assert torch.allclose(weight.detach(), before - 0.1 * weight.grad, atol=1e-7)
