import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.methods import BitFit
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench, train_steps


def test_biases_and_the_head_move_and_nothing_else():
    bench = make_bench((BitFit(),))
    before = {name: value.clone() for name, value in bench.plan.net.state_dict().items()}
    train_steps(bench, 3)
    moved = {name for name, value in bench.plan.net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"backbone.1.bias", "head.weight", "head.bias"}  # statistics of the norm are kept as well


def test_of_a_transformer_only_biases_are_trained(context):
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    made = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Sequential(layer), nn.Linear(8, 2))
    made = BitFit().change(made, context())
    made.apply_freezing()
    trained = {name for name, parameter in made.backbone.named_parameters() if parameter.requires_grad}
    assert trained == {
        "0.self_attn.out_proj.bias", "0.linear1.bias", "0.linear2.bias", "0.norm1.bias", "0.norm2.bias",
        "0.self_attn.in_proj_bias",
    }  # fmt: skip


def test_a_network_without_biases_is_told(context):
    made = Net(NetSpec("zoo", "x", ("a",), (0.5,) * 3, (0.5,) * 3), nn.Conv2d(3, 4, 3, bias=False), nn.Linear(4, 1))
    with pytest.raises(NoEffectError):
        BitFit().change(made, context())
