import copy

import pytest
import torch
from torch.optim.swa_utils import update_bn

from whet.core.batch import FinalizeContext
from whet.methods import SWA, Freeze
from whet.methods.average.mean import renew_statistics
from whet.testing.bench import make_bench, train_steps


def walk(method, net, progress, steps, total, per_epoch):
    """Train by hand: the weights after every step."""
    runtime = method.start(net, None)
    seen = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            for place, parameter in enumerate(net.parameters()):
                parameter.add_(
                    torch.linspace(-1, 2, parameter.numel()).view(parameter.shape).mul(step**0.5 + place).sin()
                )
        seen.append({name: tensor.detach().double().clone() for name, tensor in net.named_parameters()})
        runtime.after_step(progress(step, total, per_epoch))
    return runtime, seen


def test_the_average_is_the_mean_of_the_last_epochs_ends(net, progress):
    runtime, seen = walk(SWA(start_at="0.5dur"), net(), progress, 40, 40, 4)
    ends = [seen[step - 1] for step in (20, 24, 28, 32, 36, 40)]
    assert runtime.count == 6
    for name in ends[0]:
        expected = torch.stack([weights[name] for weights in ends]).mean(dim=0)
        assert torch.allclose(runtime.mean[name].double(), expected, rtol=1e-6, atol=1e-6)


def test_the_last_weights_are_in_it_where_epochs_do_not_divide_the_training(net, progress):
    runtime, seen = walk(SWA(start_at="20st"), net(), progress, 29, 29, 4)
    ends = [seen[step - 1] for step in (21, 25, 29)]
    expected = torch.stack([weights["head.bias"] for weights in ends]).mean(dim=0)
    assert torch.allclose(runtime.mean["head.bias"].double(), expected, rtol=0, atol=1e-6)


def inputs(batches=3):
    x = torch.linspace(-3, 3, batches * 8 * 3 * 64).sin().mul(2).add(0.5).view(batches, 8, 3, 8, 8)
    return [batch * (place + 1) for place, batch in enumerate(x)]


def test_statistics_are_those_of_one_pass_over_the_data(net):
    """As torch's own update_bn takes them, whatever they were before."""
    made = net()
    made(5 * inputs()[0])
    theirs = copy.deepcopy(made)
    renew_statistics(made, iter(inputs()))
    update_bn(inputs(), theirs)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor), name
    assert not made.training
    assert {norm.momentum for norm in made.modules() if isinstance(norm, torch.nn.BatchNorm2d)} == {0.1}


def test_the_first_norm_s_statistics_by_hand(net):
    made = net()
    renew_statistics(made, iter(inputs()))
    maps = [torch.nn.functional.conv2d(x, made.backbone[0].weight).double() for x in inputs()]
    mean = torch.stack([m.mean(dim=(0, 2, 3)) for m in maps]).mean(dim=0)
    var = torch.stack([m.var(dim=(0, 2, 3)) for m in maps]).mean(dim=0)
    assert torch.allclose(made.backbone[1].running_mean.double(), mean, atol=1e-5)
    assert torch.allclose(made.backbone[1].running_var.double(), var, rtol=1e-5)


def test_norms_at_rest_and_dropout_take_no_part(net, context):
    made = Freeze(share=0.75).change(net(), context())  # its first norm is frozen
    made.head = torch.nn.Sequential(torch.nn.Dropout(0.5), made.head)
    kept = copy.deepcopy(made.backbone[1].state_dict())
    renew_statistics(made, iter(inputs()))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in made.backbone[1].state_dict().items())
    assert int(made.backbone[4].num_batches_tracked) == 3


def test_the_end_of_a_training():
    """The mean's weights, and the statistics that those weights give on one epoch."""
    bench = make_bench((SWA(start_at="6st"),))
    train_steps(bench, 12)
    runtime, batches = bench.plan.runtimes["swa"], [bench.batch(step).x for step in range(12, 15)]
    assert runtime.count == 3
    bench.plan.finalize(FinalizeContext(lambda: iter(batches), lambda weights: {}))
    found = bench.plan.net.state_dict()
    assert all(torch.equal(found[name], runtime.mean[name]) for name, _ in bench.plan.net.named_parameters())
    maps = [torch.nn.functional.conv2d(x, found["backbone.0.weight"], stride=2) for x in batches]
    expected = torch.stack([m.mean(dim=(0, 2, 3)) for m in maps]).mean(dim=0)
    assert torch.allclose(found["backbone.1.running_mean"], expected, atol=1e-6)
    assert not torch.allclose(found["backbone.1.running_mean"], runtime.mean["backbone.1.running_mean"], atol=1e-3)


@pytest.mark.parametrize("start_at", ["1dur", "13st"])
def test_a_mean_of_one_or_none_is_the_last_weights(start_at):
    bench = make_bench((SWA(start_at=start_at),))
    train_steps(bench, 12)
    last = {name: tensor.clone() for name, tensor in bench.plan.net.state_dict().items()}
    bench.plan.finalize(FinalizeContext(lambda: iter(()), lambda weights: {}))
    assert all(torch.equal(tensor, last[name]) for name, tensor in bench.plan.net.state_dict().items())
