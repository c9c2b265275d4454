import functools

import numpy as np
import pytest
import torch
from torch import nn

from whet import methods
from whet.core.batch import Context
from whet.core.errors import WeightsError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import build_net, load_net
from whet.models.attach import attach_after
from whet.models.build import resolve, save_net
from whet.models.net import Net, NetSpec, new_head
from whet.models.residual import residual_branches
from whet.models.zoo import ZOO
from whet.models.zoo.vgg import VGG16
from whet.models.zoo.vit import positions
from whet.tasks import SINGLE_LABEL
from whet.training.plan import Plan

CLASSES = ("a", "b")


def build(architecture, weights="none"):
    with Rng(0).torch_scope("init"):
        return build_net(ModelSpec(architecture=architecture, weights=weights), CLASSES)[0]


def narrow(name, width=0.1, depth=1):
    """With a tenth of its channels: quick to make and to run."""
    with Rng(0).torch_scope("init"):
        backbone, features = ZOO[name](width=width, depth=depth)
        spec = NetSpec("zoo", name, CLASSES, (0.5,) * 3, (0.25,) * 3, width=width, depth=depth)
        return Net(spec, backbone, new_head(features, len(CLASSES)))


@functools.cache
def sized(name, width=1.0, depth=1):
    """(the backbone without numbers, only shapes; its features). Shared by the tests: none changes it."""
    with torch.device("meta"):
        return ZOO[name](width=width, depth=depth)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize(
    ("width", "depth"), [(1.0, 1), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((0.3, 1), (1.0, 2)))]
)
def test_any_image_from_32_px_gives_the_promised_features(name, width, depth):
    backbone, features = sized(name, width, depth)
    backbone.eval()
    for size in (32, 33, 63, 224) if width == depth == 1 else (32, 64):
        assert backbone(torch.zeros(2, 3, size, size, device="meta")).shape == (2, features)


@pytest.mark.parametrize(
    ("name", "features", "published"),
    [
        ("lenet", 84 * 10 + 10, 62_006),  # ten classes, three colours, as in PyTorch's tutorial
        # ImageNet's 1,000 classes, as torchvision and timm count them
        ("alexnet", 4096 * 1000 + 1000, 61_100_840),
        ("vgg16", 4096 * 1000 + 1000, 138_357_544),
        ("resnet18", 512 * 1000 + 1000, 11_689_512),
        ("mobilenet_v2", 1280 * 1000 + 1000, 3_504_872),
        ("efficientnet_b0", 1280 * 1000 + 1000, 5_288_548),
        ("efficientnet_lite0", 1280 * 1000 + 1000, 4_652_008),
        ("convnext_atto", 320 * 1000 + 1000, 3_695_520),
        ("convmixer", 256 * 10 + 10, 594_186),  # ten classes: the paper's 594 thousand
    ],
)
def test_as_many_weights_as_published(name, features, published):
    """Published with a last linear layer, which is not a part of a backbone."""
    assert count(sized(name)[0]) + features == published


def test_vit_tiny_has_the_published_size_but_for_its_patches_positions_and_class_token():
    patches, published = 192 * 3 * (16**2 - 8**2), 5_717_416 - (192 * 1000 + 1000)
    assert count(sized("vit_tiny")[0]) == published - patches - 192 * (14**2 + 1) - 192


@pytest.mark.parametrize("name", ZOO)
def test_twice_as_wide_and_twice_as_deep(name):
    plain, wide, deep = (sized(name)[0], sized(name, width=2.0)[0], sized(name, depth=2)[0])
    assert (
        1.7 < count(wide) / count(plain) < 4.1
    )  # nearly four, but for the fully connected layers of alexnet and vgg16

    def channels(backbone):
        return [m.out_channels for m in backbone.modules() if isinstance(m, nn.Conv2d)]

    assert channels(wide) == [2 * size for size in channels(plain)]
    assert count(deep) > count(plain)
    assert len(channels(deep)) > len(channels(plain)) or name == "vit_tiny"
    if name not in (
        "mobilenet_v2",
        "efficientnet_b0",
        "efficientnet_lite0",
    ):  # which widen by the size of each block's own input
        assert set(channels(deep)) == set(channels(plain))


@pytest.mark.parametrize("name", ZOO)
def test_blocks_are_named_in_the_order_they_run(name):
    backbone, _ = sized(name)
    net = Net(NetSpec("zoo", name, CLASSES, (0.5,) * 3, (0.25,) * 3), backbone.eval(), nn.Identity())
    ran = []
    for block in net.block_names:
        net.get_submodule(block).register_forward_pre_hook(lambda *_, block=block: ran.append(block))
    backbone(torch.zeros(1, 3, 64, 64, device="meta"))
    assert ran == net.block_names
    assert len(ran) >= 4


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        (
            "alexnet",
            {"features.0.weight": (64, 3, 11, 11), "features.10.bias": (256,), "classifier.4.weight": (4096, 4096)},
        ),
        ("resnet18", {"layer1.0.conv1.weight": (64, 64, 3, 3), "layer4.0.downsample.0.weight": (512, 256, 1, 1)}),
        ("mobilenet_v2", {"features.1.conv.1.weight": (16, 32, 1, 1), "features.17.conv.2.weight": (320, 960, 1, 1)}),
        (
            "efficientnet_b0",
            {"features.1.0.block.1.fc1.weight": (8, 32, 1, 1), "features.8.0.weight": (1280, 320, 1, 1)},
        ),
    ],
)
def test_tensors_go_by_torchvision_s_names(name, tensors):
    state = sized(name)[0].state_dict()
    assert {key: tuple(state[key].shape) for key in tensors} == tensors


class Nothing(nn.Module):
    def forward(self, x):
        return 0 * x


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("resnet18", 8),
        ("mobilenet_v2", 10),
        ("efficientnet_b0", 9),
        ("convmixer", 8),
        ("convnext_atto", 12),
        ("vit_tiny", 12),
    ],
)
def test_without_its_branch_a_block_is_its_short_cut(name, branches):
    net = build(name).eval()
    found = residual_branches(net.backbone)
    assert len(found) == branches
    pairs = []

    def seen(block, inputs, output):
        short_cut = getattr(block, "downsample", nn.Identity())(inputs[0])
        pairs.append((getattr(block, "activation", nn.Identity())(short_cut), output))

    for branch in found:
        attach_after(branch.end, "nothing", Nothing())
        branch.block.register_forward_hook(seen)
    with torch.no_grad(), Rng(0).torch_scope("x"):
        net(torch.empty(2, 3, 32, 32).normal_())
    assert len(pairs) == branches
    assert all(torch.allclose(kept, out, atol=1e-6) for kept, out in pairs)


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg16"])
def test_plain_networks_have_no_branches(name):
    assert not residual_branches(sized(name)[0])


Y = torch.arange(8) % 2
with Rng(0).torch_scope("x"):
    X = torch.empty(8, 3, 32, 32).normal_() + Y.view(8, 1, 1, 1)  # noise, lighter where the class is 1


def trained(net, steps):
    """The losses of so many steps of Adam on the same eight images."""
    net.train()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        with Rng(0).torch_scope("model", step):
            loss = nn.functional.cross_entropy(net(X), Y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", ZOO)
def test_every_weight_learns_in_two_steps_and_survives_saving(name, tmp_path):
    net = narrow(name, 0.5 if name == "lenet" else 0.1)  # one channel of LeNet's may well be dead
    before = {key: weight.clone() for key, weight in net.named_parameters()}
    assert np.isfinite(trained(net, 2)).all()
    assert [key for key, weight in net.named_parameters() if torch.equal(weight, before[key])] == []
    save_net(net.eval(), tmp_path, {"a": 1})
    again = load_net(tmp_path)
    assert again.spec == net.spec
    with torch.inference_mode():
        assert torch.equal(again(X), net(X))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("lenet", "resnet9_slim", "efficientnet_b0") else pytest.mark.slow)
        for name in sorted(set(ZOO) - {"alexnet", "vgg16"})
    ],
)
def test_it_learns_eight_images_by_heart(name):
    small = name in ("lenet", "resnet9_slim")
    losses = trained(narrow(name, 1.0 if small else 0.25), 20)
    assert min(losses[-3:]) < 0.5 * losses[0]


CHANGES = (
    methods.SqueezeExcite(), methods.BlurPool(), methods.StochasticDepth(), methods.DropBlock(prob=0.05),
    methods.GhostBatchNorm(size=4), methods.WeightStandardization(), methods.Dropout(),
)  # fmt: skip
NO_EFFECT = {
    "stochastic_depth": {"lenet", "alexnet", "vgg16"},  # no residual branches
    "squeeze_excite": {"convnext_atto", "vit_tiny"},  # no BatchNorm where a branch ends
    "ghost_batchnorm": {"lenet", "alexnet", "vgg16", "convnext_atto", "vit_tiny"},  # no BatchNorm
    "weight_standardization": {
        "lenet",
        "alexnet",
        "vgg16",
        "convmixer",
        "convnext_atto",
        "vit_tiny",
    },  # no norm follows
    "blurpool": {"vit_tiny"},  # nothing halves its maps
}


@pytest.mark.parametrize("changes", [CHANGES, (methods.Adapter(size=4),)], ids=["architecture", "adapter"])
@pytest.mark.parametrize("name", ZOO)
def test_methods_that_change_networks_work_on_it(name, changes):
    context = Context(SINGLE_LABEL, CLASSES, np.array([4, 4]), lambda: None)
    # A fifth of the channels: with six, torch 2.13's convolutions (oneDNN, AMD EPYC) corrupt the heap in the backward pass.
    plan = Plan(Recipe(methods=(methods.SGD(), *changes)), narrow(name, width=0.2), context)
    without = {line.split()[0] for line in plan.ineffective}
    assert without == {method.name for method in changes if name in NO_EFFECT.get(method.name, ())}
    assert np.isfinite(trained(plan.net, 2)).all()


def test_alexnet_enlarges_small_images_and_leaves_larger_ones():
    backbone = narrow("alexnet").backbone.eval()
    seen = []
    backbone.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        backbone(X)
        backbone(torch.zeros(1, 3, 65, 65))
    assert [tuple(x.shape[2:]) for x in seen] == [(64, 64), (65, 65)]
    assert torch.equal(seen[0], nn.functional.interpolate(X, size=64, mode="bilinear"))


def test_a_transformer_tells_places_apart():
    """The same patches in another order are another image."""
    backbone = narrow("vit_tiny").backbone.eval()
    with torch.no_grad():
        assert not torch.allclose(backbone(X), backbone(X.roll(8, dims=3)), atol=1e-4)


def test_a_place_in_the_image_has_the_same_position_at_any_size():
    small, large = positions(torch.zeros(1, 8, 14, 14)), positions(torch.zeros(1, 8, 42, 42))
    assert torch.allclose(large[:, 1::3, 1::3], small, atol=1e-5)


def test_vgg16_is_torchvision_s_by_name():
    with torch.device("meta"):
        state = VGG16().state_dict()
    assert list(state)[:2] == ["features.0.weight", "features.0.bias"]
    assert state["features.28.weight"].shape == (512, 512, 3, 3)
    assert state["classifier.3.weight"].shape == (4096, 4096)


def test_resnet9_has_eight_convolutions():
    net = build("resnet9")
    assert sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) == 8
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(6.57e6, rel=0.01)


def test_saved_and_loaded(tmp_path):
    net = build("resnet9_slim").eval()
    save_net(net, tmp_path, {"a": 1})
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_net(tmp_path)(x), net(x))


def test_weights_from_a_file_and_files_that_do_not_fit(tmp_path):
    source = build("resnet9_slim")
    torch.save({"state_dict": source.backbone.state_dict()}, tmp_path / "w.pth")
    net = build("resnet9_slim", str(tmp_path / "w.pth"))
    assert torch.equal(net.backbone[0][0].weight, source.backbone[0][0].weight)
    with pytest.raises(WeightsError, match=r"do not fit resnet9: .*another shape"):
        build("resnet9", str(tmp_path / "w.pth"))
    torch.save({"x": print}, tmp_path / "pickle.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        build("resnet9_slim", str(tmp_path / "pickle.pth"))


@pytest.mark.parametrize(
    ("asked", "size", "architecture", "weights"),
    [
        (ModelSpec(), 32, "resnet9", "none"),
        (ModelSpec(weights="none"), 300, "resnet9", "none"),
        (ModelSpec(weights="some/name"), 32, "some/name", "some/name"),
        (ModelSpec(architecture="vgg16"), 300, "vgg16", "none"),
        (ModelSpec(architecture="vgg16", weights="x.pth"), 300, "vgg16", "x.pth"),
    ],
)
def test_what_auto_means(asked, size, architecture, weights):
    assert resolve(asked, size) == ModelSpec(architecture=architecture, weights=weights)


def test_the_same_seed_the_same_weights():
    assert torch.equal(build("resnet9_slim").head.weight, build("resnet9_slim").head.weight)


def test_a_writer_that_is_killed_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    """Half a file never stands under a model's name, and the next save clears it away."""
    from whet.models import hub_access

    first, second = build("resnet9_slim").eval(), build("resnet9_slim").eval()
    torch.nn.init.ones_(second.head.weight)
    save_net(first, tmp_path / "model", {"a": 1})

    def killed(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hub_access, "save_file", killed)
        with pytest.raises(KeyboardInterrupt):
            save_net(second, tmp_path / "model", {"a": 2})
    assert torch.equal(load_net(tmp_path / "model").head.weight, first.head.weight)
    save_net(second, tmp_path / "model", {"a": 2})
    assert torch.equal(load_net(tmp_path / "model").head.weight, second.head.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
