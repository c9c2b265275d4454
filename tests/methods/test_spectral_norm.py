import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.methods import SpectralNorm
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench, train_steps


def largest(weight):
    return torch.linalg.svdvals(weight.detach().flatten(1).double())[0].item()


def test_the_largest_singular_value_is_one():
    bench = make_bench((SpectralNorm(),), architecture="resnet9_slim")
    before = [
        largest(m.weight)
        for m in make_bench((), architecture="resnet9_slim").plan.net.modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert max(abs(value - 1) for value in before) > 0.2
    train_steps(bench, 4)
    x = bench.batch(0).x
    with torch.no_grad():
        for _ in range(60):  # the estimate follows the weights pass by pass
            bench.plan.net(x)
    net = bench.plan.net.eval().baked()
    convolutions = [m for m in net.backbone.modules() if isinstance(m, nn.Conv2d)]
    assert [largest(m.weight) for m in convolutions] == pytest.approx([1.0] * 8, abs=0.01)
    assert largest(net.head.weight) < 0.9  # left free


def test_no_input_is_stretched(context):
    """A stack of linear layers with ReLU between is then a contraction."""
    layers = [nn.Linear(12, 12, bias=False), nn.ReLU(), nn.Linear(12, 12, bias=False)]
    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Sequential(*layers), nn.Linear(12, 2))
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.copy_(torch.linspace(-3, 3, 144).sin().view(12, 12) * 5)
    x, y = torch.linspace(-1, 1, 12 * 50).view(50, 12), torch.linspace(1, 3, 12 * 50).cos().view(50, 12)
    stretch = (net.backbone(x) - net.backbone(y)).norm(dim=1) / (x - y).norm(dim=1)
    assert stretch.max() > 2
    net = SpectralNorm(iterations=5).change(net, context()).train()
    for _ in range(30):
        net.backbone(x)
    stretch = (net.eval().backbone(x) - net.backbone(y)).norm(dim=1) / (x - y).norm(dim=1)
    assert stretch.max() <= 1 + 1e-4


def test_nothing_to_bound_is_told(context):
    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(NoEffectError):
        SpectralNorm().change(net, context())
