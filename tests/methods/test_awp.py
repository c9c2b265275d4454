import pytest
import torch

from whet.core.batch import Progress
from whet.methods import AWP, SGD
from whet.testing.bench import make_bench
from whet.training.loop import closure_for


class Spy:
    """A closure that remembers the weights it was called at, and its losses."""

    def __init__(self, closure, parameters):
        self.closure, self.parameters, self.calls = closure, parameters, []

    def __call__(self):
        loss = self.closure()
        self.calls.append(([p.detach().clone() for p in self.parameters], float(loss)))
        return loss


def spied(gamma):
    bench = make_bench((SGD(),))
    plan = bench.plan
    parameters = list(plan.net.parameters())
    spy = Spy(closure_for(plan, bench.fabric, plan.net, plan.optimizer, bench.batch(0), Progress(0, 1, 1)), parameters)
    before = [p.detach().clone() for p in parameters]
    AWP(gamma=gamma).wrap_step(lambda closure: closure(), parameters)(spy)
    return parameters, before, spy


def test_each_weight_moves_by_its_share_and_comes_back_bit_for_bit():
    parameters, before, spy = spied(0.05)
    moved = spy.calls[1][0]
    assert len(spy.calls) == 2
    for old, new in zip(before, moved):
        if old.ndim > 1:
            assert (new - old).norm().item() == pytest.approx(0.05 * old.norm().item(), rel=1e-4)
        else:
            assert torch.equal(new, old)
    assert all(torch.equal(p, old) for p, old in zip(parameters, before))


def test_the_move_raises_the_loss_more_than_random_ones_of_its_length():
    parameters, before, spy = spied(0.05)
    (_, clean), (moved, raised) = spy.calls
    rises = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p, old, new in zip(parameters, before, moved):
                direction = torch.randn(p.shape, generator=generator)
                p.copy_(old + direction * ((new - old).norm() / direction.norm()))
        rises.append(float(spy.closure()) - clean)
    assert raised - clean > max(0.0, *rises)


def test_the_paper_s_step():
    """w <- w - lr grad(w + gamma |w| / |g| g), for two layers of float64."""
    weights = [torch.nn.Parameter(torch.tensor(w, dtype=torch.float64)) for w in ([[1.0, -2.0]], [[0.5], [3.0]])]
    bias = torch.nn.Parameter(torch.tensor([0.7], dtype=torch.float64))

    def loss_at(a, b, c):
        return ((a @ b).squeeze() + c).square().sum() + a.pow(4).sum()

    def closure():
        for p in (*weights, bias):
            p.grad = None
        loss = loss_at(*weights, bias)
        loss.backward()
        return loss

    ours = [p.detach().clone().requires_grad_() for p in (*weights, bias)]
    optimizer = torch.optim.SGD([*weights, bias], lr=0.01)
    step = AWP(gamma=0.1).wrap_step(optimizer.step, [*weights, bias])
    for _ in range(5):
        step(closure)
        first = torch.autograd.grad(loss_at(*ours), ours)
        moved = [w + 0.1 * w.norm() / g.norm() * g if w.ndim > 1 else w for w, g in zip(ours, first)]
        moved = [w.detach().requires_grad_() for w in moved]
        second = torch.autograd.grad(loss_at(*moved), moved)
        ours = [(w - 0.01 * g).detach().requires_grad_() for w, g in zip(ours, second)]
    assert all(torch.allclose(p, w, rtol=0, atol=1e-12) for p, w in zip((*weights, bias), ours))
