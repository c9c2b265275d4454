import pytest
import torch

from whet.methods import ClipNorm


def clipped(gradients, max_norm):
    parameters = [torch.nn.Parameter(torch.zeros(len(g))) for g in gradients]

    def closure():
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = torch.tensor(gradient)
        return torch.tensor(1.0)

    ClipNorm(max_norm=max_norm).wrap_step(lambda closure: closure(), parameters)(closure)
    return torch.cat([parameter.grad for parameter in parameters])


def test_long_gradients_are_shortened_together_and_keep_their_direction():
    out = clipped([[3.0, 0.0], [0.0, 4.0]], 1.0)
    assert out.norm() == pytest.approx(1.0, abs=1e-5)
    assert out.tolist() == pytest.approx([0.6, 0, 0, 0.8], abs=1e-5)


def test_short_gradients_are_left_alone():
    assert clipped([[0.3, 0.4]], 1.0).tolist() == pytest.approx([0.3, 0.4])


def test_it_acts_on_every_closure_an_optimizer_calls():
    """A line search sees clipped gradients too: the wrapper sits inside the closure."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    seen = []

    def step(closure):
        for _ in range(3):
            closure()
            seen.append(float(parameter.grad))
        return torch.tensor(0.0)

    def closure():
        parameter.grad = torch.tensor([10.0])
        return torch.tensor(0.0)

    ClipNorm(max_norm=2.0).wrap_step(step, [parameter])(closure)
    assert seen == pytest.approx([2.0] * 3, abs=1e-4)
