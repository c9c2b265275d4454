import math

import pytest
import torch

from whet.methods import Snapshot
from whet.models.ensemble import as_one
from whet.testing.bench import make_bench, train_steps


def test_the_factor_is_the_paper_s(progress):
    """alpha0 / 2 * (cos(pi * mod(t - 1, T / M) / (T / M)) + 1), t from 1."""
    method = Snapshot(cycles=4)
    for t in range(1, 101):
        expected = (math.cos(math.pi * ((t - 1) % 25) / 25) + 1) / 2
        assert method.factor(progress(t - 1, 100)) == pytest.approx(expected)


@pytest.mark.parametrize(("total", "cycles"), [(100, 4), (13, 5), (49, 49), (7, 3), (30, 1)])
def test_it_restarts_where_it_should_and_ends_low(total, cycles, progress):
    method = Snapshot(cycles=cycles)
    factors = [method.factor(progress(step, total)) for step in range(total)]
    tops = [step for step in range(1, total) if factors[step] > factors[step - 1]]
    assert tops == [math.ceil(total * cycle / cycles) for cycle in range(1, cycles)] or cycles == total
    assert [step for step in range(1, total + 1) if method.restarts(progress(step, total))] == [
        math.ceil(total * cycle / cycles) for cycle in range(1, cycles)
    ]
    assert factors[0] == 1.0
    assert factors[-1] == pytest.approx((math.cos(math.pi * (1 - cycles / total)) + 1) / 2)


def taken(method, progress, total):
    net = torch.nn.Linear(1, 1, bias=False)
    runtime = method.start(net, None)
    for step in range(1, total + 1):
        with torch.no_grad():
            net.weight.fill_(step)
        runtime.after_step(progress(step, total))
    return [weights["weight"].item() for weights in method.ensemble_members(runtime)]


def test_the_weights_at_the_low_points_are_kept(progress):
    assert taken(Snapshot(cycles=4), progress, 100) == [25, 50, 75]  # the fourth are the final weights
    assert taken(Snapshot(cycles=4, members=2), progress, 100) == [75]
    assert taken(Snapshot(cycles=4, members=1), progress, 100) == []


def test_they_answer_with_the_mean_of_their_probabilities(net):
    nets, x = [net().eval(), net().eval(), net().eval()], torch.linspace(-2, 2, 2 * 3 * 81).view(2, 3, 9, 9)
    for place, member in enumerate(nets):
        with torch.no_grad():
            member.head.weight.mul_(10 * place)
    expected = torch.stack([member(x).softmax(dim=1) for member in nets]).mean(dim=0)
    assert torch.allclose(as_one(nets)(x).softmax(dim=1), expected, atol=1e-6)
    assert as_one(nets[:1]) is nets[0]


def test_a_resumed_training_gathers_the_same():
    method = Snapshot(cycles=3)
    whole, first, second = make_bench((method,)), make_bench((method,)), make_bench((method,))
    train_steps(whole, 12)
    train_steps(first, 6)
    second.load(first.state())
    train_steps(second, 6, 6)
    assert len(whole.plan.ensemble_members()) == 2
    for ours, theirs in zip(second.plan.ensemble_members(), whole.plan.ensemble_members()):
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
