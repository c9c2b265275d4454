import pytest
from torch import nn

from whet.core.errors import NoEffectError
from whet.methods import ScaleDepth
from whet.models.residual import residual_branches
from whet.models.zoo.vgg import VGG16
from whet.testing.bench import make_bench


@pytest.mark.parametrize(("factor", "branches", "convolutions"), [(1, 2, 8), (2, 4, 12), (3, 6, 16)])
def test_each_stage_has_so_many_times_its_blocks(factor, branches, convolutions):
    net = make_bench((ScaleDepth(depth=factor),), architecture="resnet9_slim").plan.net
    assert len(residual_branches(net.backbone)) == branches
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == convolutions


def test_vgg16_twice_as_deep_has_26_convolutions_and_the_same_channels():
    import torch

    with torch.device("meta"):
        plain, deep = VGG16(), VGG16(depth=2)
    channels = [[m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (plain, deep)]
    assert channels[1] == [size for size in channels[0] for _ in range(2)]


def test_networks_of_one_size_are_told(net, context):
    with pytest.raises(NoEffectError, match="bench has a fixed size"):
        ScaleDepth().change(net(), context())
