import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.methods import SqueezeExcite
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench


def test_maps_are_weighed_by_the_paper_s_gates(net, context):
    """x_c * sigmoid(W2 relu(W1 mean(x)))_c"""
    plain, changed = net().eval(), SqueezeExcite(reduction=2).change(net(), context()).eval()
    x = torch.linspace(-2, 2, 2 * 3 * 81).sin().view(2, 3, 9, 9)
    maps = plain.backbone[1](plain.backbone[0](x))
    gates = changed.backbone[1].squeeze_excite.gates
    assert [tuple(layer.weight.shape) for layer in (gates[0], gates[2])] == [(2, 4), (4, 2)]
    hidden = (maps.mean(dim=(2, 3)) @ gates[0].weight.T + gates[0].bias).relu()
    weight = (hidden @ gates[2].weight.T + gates[2].bias).sigmoid()
    assert torch.allclose(changed.backbone[1](changed.backbone[0](x)), maps * weight[:, :, None, None], atol=1e-6)


def test_gates_stand_where_residual_branches_end_and_rename_nothing():
    plain, net = (make_bench(methods, architecture="resnet9_slim").plan.net for methods in ((), (SqueezeExcite(),)))
    assert [name for name, m in net.named_modules() if name.endswith("squeeze_excite")] == [
        "backbone.2.drop_path.squeeze_excite",
        "backbone.5.drop_path.squeeze_excite",
    ]
    assert plain.state_dict().keys() < net.state_dict().keys()


def test_no_maps_no_gates(context):
    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(NoEffectError):
        SqueezeExcite().change(net, context())
