import pytest
import torch
import torch.nn.functional as F
from torch import nn

from whet.core.errors import NoEffectError
from whet.core.rng import Rng
from whet.methods import DropBlock
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench


def dropped(prob, block, size=(40, 40), B=32):
    """What is left of maps of ones."""
    method = DropBlock(prob=prob, block=block, from_depth=0.0)
    net = Net(
        NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Sequential(nn.BatchNorm2d(3)), nn.Linear(3, 2)
    )
    layer = method.change(net, None).train().backbone[0].dropblock
    with Rng(0).torch_scope("model", 0):
        return layer(torch.ones(B, 3, *size))


@pytest.mark.parametrize("block", [1, 3, 7])
def test_share_and_scale(block):
    out = dropped(0.1, block)
    assert (out == 0).float().mean().item() == pytest.approx(0.1, abs=0.012)  # squares that overlap take a little off
    assert out.mean().item() == pytest.approx(1.0, abs=1e-5)
    assert len(out.unique()) == 2


def test_what_is_dropped_are_squares_that_lie_on_the_map():
    """Opening the zeros by a square of the block's side gives them back: none is thinner than a block."""
    zeros = (dropped(0.15, 5) == 0).float()
    eroded = 1 - F.max_pool2d(1 - zeros, 5, stride=1)
    opened = F.max_pool2d(F.pad(eroded, [4] * 4), 5, stride=1)
    assert torch.equal(opened, zeros)
    assert 0 < zeros.mean() < 0.3


def test_each_channel_has_its_own_squares():
    zeros = dropped(0.1, 7) == 0
    assert not torch.equal(zeros[:, 0], zeros[:, 1])


def test_a_map_smaller_than_the_block_is_dropped_whole():
    out = dropped(0.3, 7, size=(4, 4), B=2000).flatten(2)
    assert ((out == 0).all(dim=2) | (out > 0).all(dim=2)).all()
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_it_acts_on_the_deeper_layers_and_never_at_prediction():
    plain, bench = (
        make_bench((), architecture="resnet9_slim"),
        make_bench((DropBlock(from_depth=0.5),), architecture="resnet9_slim"),
    )
    norms = [m for m in bench.plan.net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [hasattr(norm, "dropblock") for norm in norms] == [False] * 4 + [True] * 4
    x = plain.batch(0).x
    with torch.no_grad(), Rng(0).torch_scope("model", 0):
        assert torch.equal(bench.plan.net.eval()(x), plain.plan.net.eval()(x))
        assert not torch.equal(bench.plan.net.train()(x), plain.plan.net.train()(x))


def test_nothing_to_drop_is_told(context):
    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(NoEffectError):
        DropBlock().change(net, context())
