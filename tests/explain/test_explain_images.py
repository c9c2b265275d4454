import numpy as np
import pytest
import torch
from tests.models.kinds import KINDS, built, inputs
from torch import nn

from whet.core.rng import Rng
from whet.data.image_loader import ImageLoader
from whet.explain import CannotExplain, explain
from whet.explain.evidence import evidence
from whet.explain.heat import covered, overlay, places, stretched
from whet.explain.images import explain_image
from whet.models.ensemble import Member
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo import ZOO

SIDE = 32
HALF, PIXELS = SIDE // 2, np.zeros((SIDE, SIDE, 3), np.uint8)


def noise(count, seed=0):
    return torch.from_numpy(Rng(seed).batch("x", 0, np.arange(count)).normal((3, SIDE, SIDE)).astype(np.float32))


def planted(count, seed=0):
    """(images of noise with bright squares in two of their corners, the class, the corner that decides as (top, left)): a red
    square says class 1, a blue one class 2, a green one nothing, and where there is only that it is class 0."""
    rng = Rng(seed).batch("corner", 0, np.arange(count))
    x, corner = 0.5 * noise(count, seed), (4 * rng.uniform(shape=())).astype(int)
    decoy = (corner + 1 + (3 * rng.uniform(shape=())).astype(int)) % 4
    labels, spots = torch.arange(count) % 3, []
    for image, k, c, d in zip(x, labels.tolist(), corner.tolist(), decoy.tolist()):
        for place, channel in ((c, {0: 1, 1: 0, 2: 2}[k]), (d, 1)):
            top, left = HALF * (place // 2), HALF * (place % 2)
            image[channel, top + 4 : top + 12, left + 4 : left + 12] += 2.5
        spots.append((HALF * (c // 2), HALF * (c % 2)))
    return x, labels, spots


def mass_on_the_plant(net, x, labels, spots):
    """The share of what speaks for red or blue that lies in the quarter of the square that decides."""
    shares = []
    for image, k, (top, left) in zip(x, labels.tolist(), spots):
        if k == 0:
            continue
        heat = np.maximum(explain_image([Member.of(net)], PIXELS, image[None], k).heat_HW, 0)
        shares.append(heat[top : top + HALF, left : left + HALF].sum() / max(heat.sum(), 1e-9))
    return float(np.mean(shares))


def test_where_the_mean_over_places_follows_heat_is_the_class_activation_map(net):
    """Zhou et al. 2016: sum_c (w_kc - mean over classes) A_c(place) / places, here from the network's own parts."""
    network = net().eval()
    x = noise(1)
    maps = network.backbone[:6](x)[0]
    weight_KC = network.linear.weight
    by_hand = torch.einsum("c,chw->hw", weight_KC[1] - weight_KC.mean(dim=0), maps) / maps[0].numel()
    assert torch.allclose(places(Member.of(network), x, 1)[0], by_hand, atol=1e-7)


@pytest.mark.parametrize("name", ["resnet9_slim", "convmixer", "lenet"])
def test_heat_adds_up_to_the_evidence_less_the_biases(image_net, name):
    """The mean or maximum over places, then linear layers, share the evidence out to the places; ReLUs behind them change
    no share."""
    network, x = image_net(name, width=0.5), noise(1)
    for layer in network.modules():  # behind the map
        if isinstance(layer, nn.Linear) and name == "lenet":
            nn.init.zeros_(layer.bias)
    heat = places(Member.of(network), x, 2)
    bias_K = network.linear.bias
    expected = evidence(Member.of(network), x, 2) - (bias_K[2] - bias_K.mean())
    assert heat.sum().item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", sorted(set(ZOO) - {"vit_tiny"}))
def test_every_network_of_the_zoo_has_places_even_for_small_images(image_net, name):
    """Pools that spread one cell over a grid (VGG, AlexNet) and maps of one cell (ResNet) are passed over."""
    network = image_net(name, width=0.25)
    heat = places(Member.of(network), noise(1), 0)[0]
    assert min(heat.shape) >= 4
    assert torch.isfinite(heat).all() and heat.std() > 0
    assert not network.training and all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    "name", ["lenet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet9_slim", "vit_tiny"))]
)
def test_heat_lies_on_what_decides_and_not_with_random_weights(image_net, taught, name):
    """The sanity check of Adebayo et al. 2018, arXiv:1810.03292, with a known place to look for."""
    x, labels, _ = planted(192)
    size = {"vit_tiny": {"width": 0.34}}.get(name, {})
    seen, classes = planted(18, seed=1), ("neither", "red", "blue")
    # One network of random weights may favour a colour by chance.
    random = [mass_on_the_plant(image_net(name, classes, seed, **size), *seen) for seed in range(3)]
    network = image_net(name, classes, **size)
    member = Member.of(network)
    before = explain_image([member], PIXELS, seen[0][1:2], 1).heat_HW
    network = taught(network, x, labels, steps={"lenet": 150}.get(name, 50), lr=1e-3)
    with torch.no_grad():
        assert (network(seen[0]).argmax(dim=1) == seen[1]).float().mean() > 0.9
    assert mass_on_the_plant(network, *seen) > 0.7
    assert np.mean(random) < 0.55
    after = explain_image([member], PIXELS, seen[0][1:2], 1).heat_HW
    assert abs(np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.7


def test_what_covering_loses_is_told_part_by_part(image_net):
    """Of a transformer, by hand."""
    member, x = Member.of(image_net("vit_tiny", width=0.34)), noise(1)
    found = explain_image([member], PIXELS, x, 1)
    assert found.by_covering
    hidden = x.clone()
    hidden[:, :, 16:, 16:] = 0
    with torch.no_grad():
        lost = (evidence(member, x, 1) - evidence(member, hidden, 1)).item()
    assert covered(member, x, 1, 4)[3, 3].item() == pytest.approx(
        lost, abs=1e-5
    )  # a corner lies under one square alone
    few = explain_image([member], PIXELS, x, 1, most_points=9)
    assert np.allclose(few.heat_HW, stretched(covered(member, x, 1, 4).numpy(), SIDE, SIDE), atol=1e-6)


def test_an_ensemble_is_explained_by_the_mean_of_its_members(image_net):
    members = [Member.of(image_net("resnet9_slim", seed=seed)) for seed in (0, 1)]
    x = noise(1)
    heats = [explain_image([member], PIXELS, x, 1).heat_HW for member in members]
    assert np.allclose(explain_image(members, PIXELS, x, 1).heat_HW, (heats[0] + heats[1]) / 2)
    assert not np.allclose(*heats)


def test_a_member_with_other_inputs_and_another_order_of_classes(image_net):
    net = image_net("resnet9_slim")
    beside = Member.of(net).beside(lambda x: 2 * x, (2, 0, 1))
    x = noise(1)
    assert torch.equal(beside(x), net(2 * x)[:, [2, 0, 1]])
    assert torch.allclose(places(beside, x, 1), places(Member.of(net), 2 * x, 0))


def test_frozen_networks_are_explained_and_stay_as_they_were(image_net):
    network = image_net("resnet9_slim")
    open_heat = places(Member.of(network), noise(1), 0)
    network.requires_grad_(False).train()
    assert torch.equal(places(Member.of(network), noise(1), 0), open_heat)  # as it answers, not as it trains
    assert network.training


def test_a_network_without_places_is_explained_by_covering():
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.ReLU())
    network = Net(NetSpec("zoo", "perceptron", ("a", "b"), (0.5,) * 3, (0.25,) * 3), backbone, new_head(8, 2))
    assert places(Member.of(network), noise(1), 0) is None
    assert explain_image([Member.of(network)], PIXELS, noise(1), 0).by_covering


def test_an_answer_that_is_no_number_is_refused(image_net):
    network = image_net("lenet")
    nn.init.constant_(network.linear.weight, float("inf"))
    with pytest.raises(CannotExplain, match="lenet"):
        explain_image([Member.of(network)], PIXELS, noise(1), 0)


def test_the_same_files_have_the_same_heat_whatever_the_threads_and_the_company(image_net, images):
    files = [str(path) for path in sorted((images / "glass").iterdir())[:4]]
    members = [Member.of(image_net("resnet9_slim"))]
    first = dict(explain(members, ImageLoader(files, 1), SIDE, [0, 1, 2, 0]))
    again = dict(explain(members, ImageLoader(files, 3), SIDE, [0, 1, 2, 0]))
    alone = dict(explain(members, ImageLoader(files[2:3], 1), SIDE, [2]))
    assert list(first) == [0, 1, 2, 3]
    for index, heat in first.items():
        assert np.array_equal(heat.heat_HW, again[index].heat_HW) and np.array_equal(heat.drawn(), again[index].drawn())
    assert np.array_equal(alone[0].heat_HW, first[2].heat_HW)


def test_files_that_cannot_be_read_are_told(image_net, images, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    files, told = [str(tmp_path / "bad.jpg"), str(images / "glass" / "000.png")], {}
    found = dict(explain([Member.of(image_net("lenet"))], ImageLoader(files, 1), SIDE, [0, 0], failed=told.__setitem__))
    assert list(found) == [1] and list(told) == [0]


def test_the_overlay_is_red_where_heat_is_and_grey_elsewhere():
    image = np.full((4, 4, 3), (10, 200, 90), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0], heat[3, 3] = 2.0, -5.0
    drawn = overlay(image, heat).astype(int)
    assert drawn[0, 0, 0] - drawn[0, 0, 2] > 80
    assert np.ptp(drawn[1:, :], axis=2).max() == 0  # against it as well
    assert np.array_equal(overlay(image, 0 * heat)[0, 0], drawn[1, 1])


def test_the_heat_of_focalnet_lies_where_its_channels_do_not(tmp_path):
    """Its maps have the channels last: (w_k - mean over classes) . tokens / places, from the network's own last norm."""
    kind = KINDS["focalnet"]
    kind.save(tmp_path)
    network = built(tmp_path, "image").eval()
    nn.init.normal_(network.linear.weight)
    x = inputs(network, "image")[:1]
    tokens = []
    handle = network.backbone.model.focalnet.layernorm.register_forward_hook(
        lambda norm, given, out: tokens.append(out)
    )
    found = places(Member.of(network), x, 1)
    handle.remove()
    weight_C = network.linear.weight[1] - network.linear.weight.mean(dim=0)
    by_hand = (tokens[0][0] @ weight_C / tokens[0].shape[1]).view(8, 8)  # 64 pixels in patches of 4, halved once
    assert torch.allclose(found[0], by_hand, atol=1e-6)
    bias = network.linear.bias[1] - network.linear.bias.mean()
    assert found.sum().item() == pytest.approx((evidence(Member.of(network), x, 1) - bias).item(), abs=1e-5)
