import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.methods import WeightStandardization
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench, train_steps


def test_filters_have_mean_zero_and_variance_one_all_through_training():
    bench = make_bench((WeightStandardization(),), architecture="resnet9_slim")
    for steps in range(3):
        for layer in (m for m in bench.plan.net.modules() if isinstance(m, nn.Conv2d)):
            rows = layer.weight.detach().flatten(1)
            assert torch.allclose(rows.mean(dim=1), torch.zeros(len(rows)), atol=1e-5)
            assert torch.allclose(rows.var(dim=1, correction=0), torch.ones(len(rows)), atol=2e-3)
        train_steps(bench, 1, start=steps)


def test_the_saved_model_holds_them_as_they_are():
    net = make_bench((WeightStandardization(),)).plan.net
    layer, baked = net.backbone[0], net.eval().baked().backbone[0]
    assert type(baked) is nn.Conv2d
    assert torch.equal(baked.weight, layer.weight)


def test_length_and_offset_of_a_weight_do_not_matter(net, context):
    changed = WeightStandardization().change(net().double(), context())
    layer = changed.backbone[0]
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(3.0).add_(0.7)
    assert torch.allclose(layer.weight, before, atol=1e-3)


def test_layers_without_a_norm_are_left_alone(context):
    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    with pytest.raises(NoEffectError):
        WeightStandardization().change(net, context())
