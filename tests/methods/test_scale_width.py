import pytest
import torch
from torch import nn

from whet.core.errors import NoEffectError
from whet.core.spec import ModelSpec
from whet.methods import ScaleDepth, ScaleWidth
from whet.models import build_net, load_net
from whet.models.build import save_net
from whet.testing.bench import make_bench


def widths(net):
    return [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_every_layer_has_so_many_times_its_channels():
    plain, wide = (
        make_bench(methods, architecture="resnet9_slim").plan.net for methods in ((), (ScaleWidth(width=1.5),))
    )
    assert widths(wide) == [round(1.5 * n) for n in widths(plain)]
    assert wide.linear.in_features == 1.5 * plain.linear.in_features


def test_four_times_slim_is_the_full_network():
    wide = make_bench((ScaleWidth(width=4.0),), architecture="resnet9_slim").plan.net
    full, _ = build_net(ModelSpec(architecture="resnet9", weights="none"), wide.spec.classes)
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (wide, full)]
    assert shapes[0] == shapes[1]


def test_it_is_saved_with_its_width_and_depth(tmp_path):
    net = make_bench((ScaleWidth(width=0.5), ScaleDepth(depth=2)), architecture="resnet9_slim").plan.net.eval()
    save_net(net, tmp_path, {})
    again, x = load_net(tmp_path), torch.linspace(-1, 1, 3 * 256).view(1, 3, 16, 16)
    assert (again.spec.width, again.spec.depth) == (0.5, 2)
    with torch.no_grad():
        assert torch.allclose(again(x), net(x), atol=1e-6)


def test_networks_of_one_size_and_pretrained_ones_are_told(net, context, tmp_path):
    with pytest.raises(NoEffectError, match="zoo networks that can be scaled: alexnet, "):
        ScaleWidth().change(net(), context())
    source, _ = build_net(ModelSpec(architecture="resnet9_slim", weights="none"), ("a", "b"))
    torch.save(source.backbone.state_dict(), tmp_path / "w.pth")
    pretrained, _ = build_net(ModelSpec(architecture="resnet9_slim", weights=str(tmp_path / "w.pth")), ("a", "b"))
    with pytest.raises(NoEffectError, match="fit its own size only"):
        ScaleWidth().change(pretrained, context())
