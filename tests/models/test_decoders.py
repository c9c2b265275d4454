import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.spec import ModelSpec
from whet.models.build import build_net, load_net, save_net
from whet.models.decoders import DECODERS
from whet.models.maps import Maps, dilate
from whet.models.zoo import ZOO
from whet.tasks import INSTANCE_SEGMENTATION, SEMANTIC_SEGMENTATION

CLASSES = ("background", "can", "glass")


def net_of(head, architecture="resnet18"):
    spec = ModelSpec(architecture=architecture, weights="none", head=head)
    torch.manual_seed(0)
    task = INSTANCE_SEGMENTATION if head in INSTANCE_SEGMENTATION.heads else SEMANTIC_SEGMENTATION
    net, _ = build_net(spec, CLASSES, task=task.name)
    return net


@pytest.mark.parametrize("head", DECODERS)
def test_a_batch_of_one_trains_and_its_output_is_a_map(head):
    net = net_of(head).train()
    logits = net(torch.randn(1, 3, 64, 64))
    assert logits.shape[:2] == (1, net.task.outputs(3))
    assert logits.shape[2] in (8, 16, 32)
    logits.logsumexp(dim=1).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.head.parameters())


@pytest.mark.parametrize("head", DECODERS)
def test_any_size(head):
    with torch.no_grad():
        assert net_of(head).eval()(torch.randn(2, 3, 72, 104)).isfinite().all()


@pytest.mark.parametrize("head", ["fpn", "deeplab_v3_plus"])
def test_a_saved_network_predicts_the_same(head, tmp_path):
    net = net_of(head).eval()
    save_net(net, tmp_path / "model", {})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_net(tmp_path / "model")(x), net(x))


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenet_v2", "efficientnet_b0", pytest.param("vgg16", marks=pytest.mark.slow), "convnext_atto"],
)
def test_maps_have_their_strides(name):
    backbone, _ = ZOO[name]()
    maps = Maps(backbone, name)
    found = maps(backbone.eval(), torch.randn(1, 3, 96, 128))
    for stride, channels, one in zip(maps.strides, maps.channels, found, strict=True):
        assert one.shape == (1, channels, 96 // stride, 128 // stride)


def test_a_backbone_without_maps_is_refused():
    with pytest.raises(RecipeError, match=r"vit_tiny has no feature maps.*accepted"):
        net_of("fpn", "vit_tiny")


def test_dilation_keeps_the_resolution_and_the_weights():
    backbone, _ = ZOO["mobilenet_v2"]()
    names = set(backbone.state_dict())
    dilate(backbone, 16)
    assert set(backbone.state_dict()) == names
    assert Maps(backbone, "mobilenet_v2").strides[-1] == 16


def test_the_strides_of_the_heads_for_objects():
    for head, cells in (("centre_offset", 32), ("cond_inst", 16)):
        assert net_of(head).eval()(torch.randn(1, 3, 64, 64)).shape[2:] == (cells, cells)
