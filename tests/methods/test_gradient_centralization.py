import torch

from whet.methods import GradientCentralization


def test_each_output_s_gradient_has_mean_zero_and_biases_are_left_alone():
    """Yong et al., equation 1; equation 3 says the same as a projection P = I - 1 1^T / M."""
    kernel, bias = torch.nn.Parameter(torch.zeros(3, 2, 2, 2)), torch.nn.Parameter(torch.zeros(3))
    given = torch.arange(24.0).view(3, 2, 2, 2) ** 2

    def closure():
        kernel.grad, bias.grad = given.clone(), torch.ones(3)
        return torch.tensor(1.0)

    GradientCentralization().wrap_step(lambda closure: closure(), [kernel, bias])(closure)
    projection = torch.eye(8) - torch.ones(8, 8) / 8
    assert torch.allclose(kernel.grad.flatten(1), given.flatten(1) @ projection, atol=1e-4)
    assert torch.equal(bias.grad, torch.ones(3))


def test_the_mean_of_each_output_s_weights_never_moves(net, context):
    """What gradient descent can then no longer change."""
    from whet.methods import SGD
    from whet.testing.bench import make_bench, train_steps

    bench = make_bench((SGD(), GradientCentralization()))
    before = bench.plan.net.backbone[0].weight.detach().clone()
    train_steps(bench, 3)
    after = bench.plan.net.backbone[0].weight.detach()
    assert not torch.equal(before, after)
    assert torch.allclose(before.flatten(1).mean(dim=1), after.flatten(1).mean(dim=1), atol=1e-6)
