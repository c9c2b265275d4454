import numpy as np
import pytest
import torch
import transformers
from torch import nn

from whet.core.rng import Rng
from whet.data.image_loader import ImageLoader
from whet.explain import CannotExplain, explain
from whet.explain.evidence import evidence
from whet.explain.heat import overlay, places, stretched
from whet.explain.images import explain_picture
from whet.models.ensemble import Member
from whet.models.hub import HubBackbone
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo import ZOO

SIDE, SQUARE = 32, 8


def noise(count, seed=0):
    return torch.from_numpy(Rng(seed).batch("x", 0, np.arange(count)).normal((3, SIDE, SIDE)).astype(np.float32))


def planted(count, seed=0):
    """(pictures of noise, whether a bright square stands in one of their corners, the corner as (top, left))."""
    rng = Rng(seed).batch("corner", 0, np.arange(count))
    x, corner = 0.5 * noise(count, seed), (4 * rng.uniform(shape=())).astype(int)
    labels = torch.arange(count) % 2
    spots = [(SIDE // 2 * (c // 2) + 4, SIDE // 2 * (c % 2) + 4) for c in corner.tolist()]
    for picture, label, (top, left) in zip(x, labels.tolist(), spots):
        if label:
            picture[:, top : top + SQUARE, left : left + SQUARE] += 2.5
    return x, labels, spots


def mass_on_the_plant(net, x, labels, spots):
    """The share of what speaks for the square that lies in its quarter of the picture, over the pictures that have one."""
    shares = []
    for picture, label, (top, left) in zip(x, labels.tolist(), spots):
        if label:
            heat = np.maximum(stretched(places(Member.of(net), picture[None], 1)[0].numpy(), SIDE, SIDE), 0)
            top, left = SIDE // 2 * (top // (SIDE // 2)), SIDE // 2 * (left // (SIDE // 2))
            shares.append(heat[top : top + SIDE // 2, left : left + SIDE // 2].sum() / max(heat.sum(), 1e-9))
    return float(np.mean(shares))


def test_where_the_mean_over_places_follows_heat_is_the_class_activation_map(net):
    """Zhou et al. 2016: sum_c (w_kc - mean over classes) A_c(place) / places, here from the network's own parts."""
    network = net().eval()
    x = noise(1)
    maps = network.backbone[:6](x)[0]
    weight_KC = network.linear.weight
    by_hand = torch.einsum("c,chw->hw", weight_KC[1] - weight_KC.mean(dim=0), maps) / maps[0].numel()
    assert torch.allclose(places(Member.of(network), x, 1)[0], by_hand, atol=1e-7)


@pytest.mark.parametrize("name", ["resnet9_slim", "vit_tiny", "convmixer", "lenet"])
def test_heat_adds_up_to_the_evidence_less_the_biases(picture_net, name):
    """The mean or maximum over places, then linear layers, share the evidence out to the places; ReLUs behind them change
    no share. (ViT's map is what its last norm leaves.)"""
    network, x = picture_net(name, width=0.5), noise(1)
    for layer in network.modules():  # behind the map
        if isinstance(layer, nn.Linear) and name == "lenet":
            nn.init.zeros_(layer.bias)
    heat = places(Member.of(network), x, 2)
    bias_K = network.linear.bias
    expected = evidence(Member.of(network), x, 2) - (bias_K[2] - bias_K.mean())
    assert float(heat.sum()) == pytest.approx(float(expected), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", list(ZOO))
def test_every_network_of_the_zoo_has_places_even_for_small_pictures(picture_net, name):
    """Pools that spread one cell over a grid (VGG, AlexNet) and maps of one cell (ResNet) are passed over."""
    network = picture_net(name, width=0.25)
    heat = places(Member.of(network), noise(1), 0)[0]
    assert min(heat.shape) >= 4
    assert torch.isfinite(heat).all() and heat.std() > 0
    assert not network.training and all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ["resnet9_slim", "lenet", "vit_tiny"])
def test_heat_lies_on_what_decides_and_not_with_random_weights(picture_net, taught, name):
    """The sanity check of Adebayo et al. 2018, arXiv:1810.03292, with a known place to look for."""
    x, labels, _ = planted(192)
    size = {"vit_tiny": {"width": 0.34}}.get(name, {})
    network = picture_net(name, classes=("plain", "square"), **size)
    seen = planted(24, seed=1)
    random = mass_on_the_plant(network, *seen)
    before = places(Member.of(network), seen[0][1:2], 1).flatten()
    network = taught(network, x, labels, lr=1e-3)
    with torch.no_grad():
        assert (network(seen[0]).argmax(dim=1) == seen[1]).float().mean() > 0.9
    assert mass_on_the_plant(network, *seen) > 0.7
    assert random < 0.5
    after = places(Member.of(network), seen[0][1:2], 1).flatten()
    assert abs(float(torch.corrcoef(torch.stack([before, after]))[0, 1])) < 0.7


def test_a_vision_transformer_that_reads_its_first_token_is_explained_by_its_patches(picture_net):
    """What the last attention reads: the tokens after the norm before it, times their gradient, without [CLS]."""
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=4,
        num_labels=3,
    )  # fmt: skip
    with Rng(0).torch_scope("init"):
        model = transformers.ViTForImageClassification(config)
        model.classifier = nn.Identity()
        spec = NetSpec("transformers", "vit", ("a", "b", "c"), (0.5,) * 3, (0.5,) * 3)
        network = Net(spec, HubBackbone(model, "classifier"), new_head(16, 3)).eval()
    x, kept = noise(1), []
    norms = [module for name, module in model.named_modules() if name.endswith("layernorm_before")]
    handle = norms[-1].register_forward_hook(lambda module, inputs, output: kept.append(output))
    said = evidence(Member.of(network), x, 1)
    handle.remove()
    (gradient,) = torch.autograd.grad(said.sum(), kept)
    by_hand = (gradient * kept[0]).sum(dim=2)[0, 1:].view(8, 8)
    assert torch.allclose(places(Member.of(network), x, 1)[0], by_hand.detach(), atol=1e-7)


def test_an_ensemble_is_explained_by_the_mean_of_its_members(picture_net):
    members = [Member.of(picture_net("resnet9_slim", seed=seed)) for seed in (0, 1)]
    pixels, x = np.zeros((SIDE, SIDE, 3), np.uint8), noise(1)
    heats = [explain_picture([member], pixels, x, 1).heat_HW for member in members]
    assert np.allclose(explain_picture(members, pixels, x, 1).heat_HW, (heats[0] + heats[1]) / 2)
    assert not np.allclose(*heats)


def test_a_member_with_other_inputs_and_another_order_of_classes(picture_net):
    net = picture_net("resnet9_slim")
    beside = Member.of(net).beside(lambda x: 2 * x, (2, 0, 1))
    x = noise(1)
    assert torch.equal(beside(x), net(2 * x)[:, [2, 0, 1]])
    assert torch.allclose(places(beside, x, 1), places(Member.of(net), 2 * x, 0))


def test_frozen_networks_are_explained_and_stay_as_they_were(picture_net):
    network = picture_net("resnet9_slim")
    open_heat = places(Member.of(network), noise(1), 0)
    network.requires_grad_(False).train()
    assert torch.equal(places(Member.of(network), noise(1), 0), open_heat)  # as it answers, not as it trains
    assert network.training


def test_a_network_without_places_is_refused_by_name():
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.ReLU())
    network = Net(NetSpec("zoo", "perceptron", ("a", "b"), (0.5,) * 3, (0.25,) * 3), backbone, new_head(8, 2))
    with pytest.raises(CannotExplain, match=r"perceptron has no map .* accepted: convolutional networks"):
        places(Member.of(network), noise(1), 0)


def test_the_same_files_have_the_same_heat_whatever_the_threads_and_the_company(picture_net, pictures):
    files = [str(path) for path in sorted((pictures / "glass").iterdir())[:4]]
    members = [Member.of(picture_net("resnet9_slim"))]
    first = dict(explain(members, ImageLoader(files, 1), SIDE, [0, 1, 2, 0]))
    again = dict(explain(members, ImageLoader(files, 3), SIDE, [0, 1, 2, 0]))
    alone = dict(explain(members, ImageLoader(files[2:3], 1), SIDE, [2]))
    assert list(first) == [0, 1, 2, 3]
    for index, heat in first.items():
        assert np.array_equal(heat.heat_HW, again[index].heat_HW) and np.array_equal(heat.drawn(), again[index].drawn())
    assert np.array_equal(alone[0].heat_HW, first[2].heat_HW)


def test_files_that_cannot_be_read_are_told(picture_net, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    files, told = [str(tmp_path / "bad.jpg"), str(pictures / "glass" / "000.png")], {}
    found = dict(
        explain([Member.of(picture_net("lenet"))], ImageLoader(files, 1), SIDE, [0, 0], failed=told.__setitem__)
    )
    assert list(found) == [1] and list(told) == [0]


def test_the_overlay_is_red_where_heat_is_and_grey_elsewhere():
    picture = np.full((4, 4, 3), (10, 200, 90), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0], heat[3, 3] = 2.0, -5.0
    drawn = overlay(picture, heat).astype(int)
    assert drawn[0, 0, 0] - drawn[0, 0, 2] > 80
    assert np.ptp(drawn[1:, :], axis=2).max() == 0  # against it as well
    assert np.array_equal(overlay(picture, 0 * heat)[0, 0], drawn[1, 1])
