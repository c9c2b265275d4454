import torch
import torch.nn.functional as F
from torch import nn

from whet.core.rng import Rng
from whet.methods import LoRA
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench, train_steps


def inputs(*shape):
    return torch.linspace(-2, 2, torch.Size(shape).numel()).sin().view(shape)


def changed(net, context, **settings):
    with Rng(1).torch_scope("change"):
        return LoRA(**settings).change(net, context())


def stirred(net):
    """Every low-rank change away from zero."""
    with torch.no_grad(), Rng(2).torch_scope("stir"):
        for name, parameter in net.named_parameters():
            if name.endswith((".up", ".down")):
                nn.init.normal_(parameter)
    return net


def test_at_the_start_it_is_the_plain_network(net, context):
    x = inputs(2, 3, 9, 9)
    assert torch.equal(changed(net().eval(), context)(x), net().eval()(x))


def test_a_linear_layer_is_the_paper_s(context):
    """h = W x + alpha / r * B A x."""
    spec = NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3)
    with Rng(0).torch_scope("init"):
        made = Net(spec, nn.Sequential(nn.Linear(12, 7)), nn.Linear(7, 2)).double()
    weight, bias = made.backbone[0].weight.detach().clone(), made.backbone[0].bias
    made = stirred(changed(made, context, rank=3, alpha=6.0))
    change, x = made.backbone[0].parametrizations.weight[0], inputs(5, 12).double()
    assert change.up.shape == (7, 3)
    assert change.down.shape == (3, 12)
    expected = x @ weight.T + bias + 6.0 / 3 * (x @ change.down.T) @ change.up.T
    assert torch.allclose(made.backbone(x), expected, rtol=0, atol=1e-12)


def test_a_convolution_is_changed_by_one_of_rank_channels_and_a_1x1(net, context):
    """The form Hugging Face's peft gives it."""
    made = stirred(changed(net().double(), context, rank=2, alpha=3.0))
    layer, x = made.backbone[3], inputs(2, 4, 8, 8).double()
    change, weight = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    few = F.conv2d(x, change.down.view(2, 4, 3, 3))
    expected = F.conv2d(x, weight) + 1.5 * F.conv2d(few, change.up.view(6, 2, 1, 1))
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-12)


def test_trained_weights_are_the_start_and_a_change_of_low_rank(net, context):
    bench = make_bench((LoRA(rank=2),))
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    train_steps(bench, 4)
    after = bench.plan.net.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    parts = {f"backbone.0.parametrizations.weight.0.{part}" for part in ("down", "up")}
    assert moved == parts | {"head.weight", "head.bias"}
    plain = bench.plan.net.baked().backbone[0].weight
    change = (plain - before["backbone.0.parametrizations.weight.original"]).flatten(1)
    assert torch.linalg.matrix_rank(change, atol=1e-6) == 2


def test_added_in_it_answers_the_same(net, context):
    made = stirred(changed(net().eval(), context))
    plain, x = made.baked(), inputs(3, 3, 9, 9)
    assert plain.state_dict().keys() == net().state_dict().keys()
    assert torch.allclose(plain(x), made(x), rtol=0, atol=1e-6)


def test_grouped_convolutions_stay_as_they_are(context):
    backbone = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), backbone, nn.Linear(6, 2))
    made = changed(made, context)
    assert [hasattr(made.backbone[place], "parametrizations") for place in (0, 1)] == [True, False]
