import pytest
import torch
import torch.nn.functional as F
from torch import nn

from whet.core.registry import registry
from whet.core.rng import Rng
from whet.methods import KFAC, SGD
from whet.methods.optimize.kfac import _measuring
from whet.testing.bench import make_bench, train_steps


def test_the_update_on_a_linear_layer_step_by_step(regression):
    """W <- W - lr m, m <- mu m + nu G^-1 dW A^-1, with factored damping and the bound on the step."""
    problem = regression()
    N, label = len(problem.x_ND), problem.label_N
    W = torch.cat([problem.net.head.weight, problem.net.head.bias[:, None]], dim=1).detach()
    X = torch.cat([problem.x_ND, torch.ones(N, 1, dtype=torch.float64)], dim=1)
    lr, mu, damping, bound, m, shortened = 0.3, 0.5, 0.03, 0.05, torch.zeros_like(W), 0
    A, G = torch.zeros(6, 6, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for step in range(4):
        probs = (X @ W.T).softmax(dim=1)
        if step % 2 == 0:
            with Rng(0).torch_scope("step", step):
                sampled = torch.multinomial(probs, 1).squeeze(1)
            g = probs - F.one_hot(sampled, 3)
            new_A, new_G = X.T @ X / N, g.T @ g / N
            share = 1.0 if step == 0 else 0.5  # of the new factors: 1 / looks, at least 1 - memory
            A, G = (1 - share) * A + share * new_A, (1 - share) * G + share * new_G
            pi = torch.sqrt((A.trace() / len(A)) / (G.trace() / len(G)))
            A_inv = torch.linalg.inv(A + pi * damping**0.5 * torch.eye(len(A), dtype=A.dtype))
            G_inv = torch.linalg.inv(G + damping**0.5 / pi * torch.eye(len(G), dtype=G.dtype))
        gradient = (probs - F.one_hot(label, 3)).T @ X / N
        natural = G_inv @ gradient @ A_inv
        nu = min(1.0, float(torch.sqrt(bound / (lr**2 * (natural * gradient).sum()))))
        shortened += nu < 1
        m = mu * m + nu * natural
        W = W - lr * m
    assert 0 < shortened < 4
    problem.train(KFAC(lr=lr, momentum=mu, damping=damping, memory=0.8, every=2, largest_change=bound), 4)
    assert torch.allclose(problem.net.head.weight, W[:, :-1], atol=1e-10)
    assert torch.allclose(problem.net.head.bias, W[:, -1], atol=1e-10)


def test_the_scale_of_the_features_does_not_matter(regression):
    """Natural gradient: the answers go the same way whatever units the features come in."""

    def answers(scales):
        problem = regression(scales=scales)
        with torch.no_grad():
            problem.net.head.weight.zero_()
        problem.train(KFAC(lr=0.1, damping=1e-16, every=1, largest_change=1e9), 5)
        return problem.net(problem.x_ND).softmax(dim=1)

    assert torch.allclose(answers((1.0,) * 5), answers((0.1, 0.3, 1.0, 3.0, 10.0)), atol=1e-3)


def test_it_is_faster_where_scales_differ(regression):
    scales = (0.1, 0.3, 1.0, 3.0, 10.0)
    ours = regression(l2=1e-4, scales=scales).train(KFAC(lr=0.2, damping=1e-4, every=1), 60)
    theirs = min(regression(l2=1e-4, scales=scales).train(SGD(lr=lr), 60) for lr in (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3))
    assert ours < theirs


def factors(layer, x, weigh):
    found = {}
    handle = layer.register_forward_hook(_measuring(found))
    weigh(layer(x)).backward()
    handle.remove()
    return found[layer]


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_with_one_place_is_a_linear_layer(bias):
    """A kernel as large as the image."""
    with Rng(2).torch_scope("layers"):
        convolution, x = nn.Conv2d(2, 3, 4, bias=bias).double(), torch.randn(5, 2, 4, 4, dtype=torch.float64)
    linear = nn.Linear(32, 3, bias=bias).double()
    with torch.no_grad():
        linear.weight.copy_(convolution.weight.flatten(1))
        if bias:
            linear.bias.copy_(convolution.bias)
    ours = factors(convolution, x, lambda out: out.square().mean())
    theirs = factors(linear, x.flatten(1), lambda out: out.square().mean())
    for one, other in zip(ours, theirs):
        assert torch.allclose(one, other)


def test_places_of_a_padded_strided_convolution_add_up():
    """Inputs summed over places, gradients averaged over them (Grosse & Martens, equations 26 and 27)."""
    with Rng(2).torch_scope("layers"):
        layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False).double()
        x = torch.randn(4, 2, 6, 6, dtype=torch.float64)
    inputs, outputs = factors(layer, x, lambda out: out.square().sum() / 4)
    patches = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2)  # (4, 2, 3, 3, 3, 3)
    rows = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 18)
    g = 2 * layer(x).detach().permute(0, 2, 3, 1).reshape(-1, 3)  # of each sample's own loss
    assert torch.allclose(inputs, rows.T @ rows / 4)
    assert torch.allclose(outputs, g.T @ g / (4 * 9))


@pytest.mark.parametrize("name", ["spectral_norm", "weight_noise", "mixout"])
def test_weights_that_are_computed_from_others_take_natural_steps_too(name):
    bench = make_bench((registry().get(name)(), KFAC()))
    train_steps(bench, 1)
    weight = dict(bench.plan.net.named_parameters())["backbone.0.parametrizations.weight.original"]
    assert "inverses" in bench.plan.optimizer.state[weight]
