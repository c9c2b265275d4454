import pytest
import torch

from whet.methods import Freeze, GradualUnfreeze
from whet.testing.bench import make_bench, train_steps

CONV, NORM, HEAD = {"backbone.0.weight"}, {"backbone.1.weight", "backbone.1.bias"}, {"head.weight", "head.bias"}
STATISTICS = {"backbone.1.running_mean", "backbone.1.running_var", "backbone.1.num_batches_tracked"}


def moved_in(bench, steps, start):
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    train_steps(bench, steps, start)
    return {name for name, value in bench.plan.net.state_dict().items() if not torch.equal(value, before[name])}


def test_each_epoch_frees_one_block_more_from_the_head_down():
    bench = make_bench((GradualUnfreeze(over="2ep"),))  # two blocks and the head; three steps an epoch
    assert moved_in(bench, 3, 0) == HEAD
    assert moved_in(bench, 3, 3) == HEAD | NORM | STATISTICS
    assert moved_in(bench, 3, 6) == HEAD | NORM | STATISTICS | CONV


def test_a_block_freed_inside_an_epoch_learns_from_then_on():
    bench = make_bench((GradualUnfreeze(over="4st"),))
    assert moved_in(bench, 2, 0) == HEAD
    assert moved_in(bench, 1, 2) == HEAD | NORM | STATISTICS
    assert moved_in(bench, 1, 3) == HEAD | NORM | STATISTICS
    assert moved_in(bench, 1, 4) == HEAD | NORM | STATISTICS | CONV


def test_what_another_method_froze_stays_frozen():
    bench = make_bench((GradualUnfreeze(over="2st"), Freeze(share=0.5)))
    assert moved_in(bench, 4, 0) == HEAD | NORM | STATISTICS
    assert bench.plan.net.backbone[0] in bench.plan.net.eval_only


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_training_holds_the_same_blocks(stop):
    method = GradualUnfreeze(over="6st")
    whole = train_steps(make_bench((method,)), 8)
    first, second = make_bench((method,)), make_bench((method,))
    train_steps(first, stop)
    second.load(first.state())
    held = [parameter.requires_grad for parameter in second.plan.net.parameters()]
    assert held == [parameter.requires_grad for parameter in first.plan.net.parameters()]
    assert train_steps(second, 8 - stop, stop) == whole
