import pytest
import torch

from whet.core.errors import NonFiniteError
from whet.core.registry import registry
from whet.methods import SGD, AdamW, WeightDecay
from whet.testing.bench import make_bench, train_steps


def descended(make, strength, own=0.0, steps=8, rates=None):
    """The weight and the bias after so many steps on a quadratic, by an optimizer of torch with our decay around it."""
    weight = torch.nn.Parameter(torch.tensor([[0.3, -2.0], [1.0, 0.1]], dtype=torch.float64))
    bias = torch.nn.Parameter(torch.tensor([0.5, 0.4], dtype=torch.float64))
    optimizer = make([{"params": [weight], "weight_decay": own}, {"params": [bias], "weight_decay": 0.0}])
    step = WeightDecay(strength=strength).wrap_update(optimizer.step, optimizer)

    def closure():
        optimizer.zero_grad()
        loss = ((weight - 1) ** 2).sum() + ((bias - 2) ** 2).sum()
        loss.backward()
        return loss

    for number in range(steps):
        if rates is not None:
            for group in optimizer.param_groups:
                group["lr"] = rates[number]
        step(closure)
    return torch.cat([weight.flatten(), bias]).detach()


@pytest.mark.parametrize("rates", [None, [0.05 / (1 + n) for n in range(8)]])
def test_adam_with_it_is_adamw(rates):
    """Loshchilov & Hutter's AdamW is Adam with decoupled decay, under a schedule too."""
    reference = descended(lambda groups: torch.optim.AdamW(groups, lr=0.05), 0.0, own=0.2, rates=rates)
    ours = descended(lambda groups: torch.optim.Adam(groups, lr=0.05), 0.2, rates=rates)
    assert torch.allclose(ours, reference, rtol=0, atol=1e-12)
    assert not torch.allclose(ours, descended(lambda groups: torch.optim.Adam(groups, lr=0.05), 0.0, rates=rates))


def test_sgd_with_it_is_sgdw():
    """Their algorithm 1: momentum never sees the decay."""
    w, v = torch.tensor([[0.3, -2.0], [1.0, 0.1]], dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    for _ in range(8):
        v = 0.9 * v + 2 * (w - 1)
        w = w - 0.02 * v - 0.02 * 0.3 * w
    ours = descended(lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9), 0.3)
    assert torch.allclose(ours[:4], w.flatten(), rtol=0, atol=1e-12)


def test_norms_and_biases_stay():
    """With a rate of nothing but decay: only matrices shrink, by (1 - lr strength) a step."""
    bench = make_bench((WeightDecay(strength=0.5), SGD(lr=0.1, momentum=0.0)))
    before = {name: p.detach().clone() for name, p in bench.plan.net.named_parameters()}

    def closure():
        for parameter in bench.plan.net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return torch.tensor(0.0)

    for _ in range(3):
        bench.step(closure)
    for name, parameter in bench.plan.net.named_parameters():
        shrunk = 0.95**3 if parameter.ndim > 1 else 1.0
        assert torch.allclose(parameter, shrunk * before[name], rtol=1e-6), name


def test_a_step_that_is_refused_shrinks_nothing():
    bench = make_bench((WeightDecay(strength=0.5),))
    before = [p.detach().clone() for p in bench.plan.net.parameters()]
    with pytest.raises(NonFiniteError):
        bench.step(lambda: torch.tensor(float("nan")))
    assert all(torch.equal(p, old) for p, old in zip(bench.plan.net.parameters(), before))


OPTIMIZERS = [cls for cls in registry() if "weight_decay" in cls.model_fields and cls.name != "muon"]


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
def test_weights_decay_once_beside_an_optimizer_that_decays_them_itself(cls):
    """It takes the optimizer's place in this, says so, and the recipe of the run tells what was done."""
    both = make_bench((WeightDecay(strength=0.02), cls(weight_decay=0.3)))
    once = make_bench((WeightDecay(strength=0.02), cls(weight_decay=0.0)))
    assert train_steps(both, 3) == train_steps(once, 3)
    assert both.plan.notes == [f"weight_decay overrides settings of {cls.name}: weight_decay = 0.0 instead of 0.3"]
    assert both.plan.recipe.method(cls.name).weight_decay == 0
    assert once.plan.notes == []


def test_without_strength_the_optimizer_keeps_its_own():
    bench = make_bench((WeightDecay(strength=0.0), AdamW(weight_decay=0.3)))
    assert bench.plan.notes == []
    assert train_steps(bench, 2) == train_steps(make_bench((AdamW(weight_decay=0.3),)), 2)
