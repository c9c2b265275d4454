"""Gated attention over tiles: the formula, its reductions, and what it finds that a plain network does not."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from whet.core.rng import Rng
from whet.explain import explain
from whet.methods import MultipleInstance
from whet.models.bags import GatedAttention, pooling_of, starts
from whet.models.build import load_net, save_net
from whet.models.ensemble import Member
from whet.models.net import Net, NetSpec
from whet.testing.bench import make_bench

CLASSES = ("without", "with")


def network(width=8):
    """A plain convolutional network with random weights."""
    with Rng(0).torch_scope("init"):
        backbone = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, stride=2), nn.BatchNorm2d(width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        return Net(NetSpec("zoo", "x", CLASSES, (0.0,) * 3, (1.0,) * 3), backbone, nn.Linear(width, 2)).eval()


def changed(net, context, **settings):
    with Rng(1).torch_scope("init"):
        return MultipleInstance(**{"tiles": 3, "hidden": 5, **settings}).change(net, context())


def images(count=2, side=24):
    return torch.from_numpy(Rng(0).batch("x", 0, np.arange(count)).normal((3, side, side)).astype(np.float32))


def test_the_vector_of_an_image_is_the_paper_s_mean_over_its_tiles(context):
    plain, net = network(), changed(network(), context)
    x, pool = images(), pooling_of(net.backbone)
    h_BTD = torch.stack([plain.backbone(x[..., y : y + 8, z : z + 8]) for y in (0, 8, 16) for z in (0, 8, 16)], dim=1)
    h, V, U, w = (one.detach().numpy() for one in (h_BTD, pool.tanh.weight, pool.gate.weight, pool.score.weight))
    a, b = (layer.bias.detach().numpy() for layer in (pool.tanh, pool.gate))
    score = (np.tanh(h @ V.T + a) / (1 + np.exp(-(h @ U.T + b)))) @ w[0]
    weight = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    assert np.allclose(net.backbone(x).detach().numpy(), (weight[..., None] * h).sum(axis=1), atol=1e-6)


def test_the_order_of_the_tiles_does_not_matter(context):
    net, x = changed(network(), context, tiles=2), images()
    moved = torch.cat([x[..., 12:], x[..., :12]], dim=-1)
    moved = torch.cat([moved[..., 12:, :], moved[..., :12, :]], dim=-2)
    assert torch.allclose(net(x), net(moved), atol=1e-6)


def test_one_tile_is_the_plain_network(context):
    """As the method's identity, and as a bag of one."""
    x = images()
    assert torch.equal(changed(network(), context, tiles=1)(x), network()(x))
    vectors = torch.randn(4, 8)
    assert torch.equal(GatedAttention(8, 5)(vectors), vectors)


@pytest.mark.parametrize(("size", "count"), [(24, 3), (25, 3), (7, 4), (64, 1)])
def test_tiles_cover_the_image(size, count):
    tile = -(-size // count)
    places = starts(size, tile, count)
    assert len(places) == count and places[-1] + tile == size
    assert sorted({pixel for place in places for pixel in range(place, place + tile)}) == list(range(size))


def test_all_parameters_have_a_gradient_and_names_stay(context):
    plain, net = network(), changed(network(), context)
    assert plain.state_dict().keys() < net.state_dict().keys()
    net(images()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert torch.equal(copy.deepcopy(net)(images(side=30)), net(images(side=30)))  # other sizes, and copies


def test_it_is_saved_with_the_network(tmp_path):
    net = make_bench((MultipleInstance(tiles=2),), architecture="resnet9_slim").plan.net.eval()
    save_net(net, tmp_path / "model", {})
    x = images(side=32)
    assert torch.allclose(load_net(tmp_path / "model")(x), net(x), atol=1e-6)


class _Loaded:
    """A loader with one image."""

    def __init__(self, image):
        self.image = image

    def __len__(self):
        return 1

    def batches(self, orders, size):
        from types import SimpleNamespace

        yield SimpleNamespace(failed=[], index_B=np.array([0]), content=self.image[None])


def test_explain_shows_the_tile_that_decides(context):
    """Its attention weight times its own evidence: the sum is the evidence of the image."""
    net = changed(network(), context, tiles=3)
    image = np.full((24, 24, 3), 10, np.uint8)
    image[9:15, 17:23] = 250
    ((_, found),) = explain([Member.of(net)], _Loaded(image), 24, [1])
    assert found.by_tiles and not found.by_covering
    logits = net(net.prepare(image[None]))[0].detach()
    assert found.heat_HW.sum() == pytest.approx(float(logits[1] - logits.mean()), rel=0.02, abs=1e-4)
    away = np.abs(found.heat_HW - np.median(found.heat_HW))
    assert np.unravel_index(away.argmax(), away.shape)[1] > 15


SIDE, MARK = 64, 6


def marked(count, seed):
    """Noise; half of the images have a small checkerboard somewhere, with the mean of the noise."""
    draws = Rng(seed).batch("marks", 0, np.arange(count))
    x = draws.normal((3, SIDE, SIDE)).astype(np.float32)
    label = np.arange(count) % 2
    place_N2 = np.stack([draws.integers(SIDE - MARK) for _ in range(2)], axis=1)
    board = 4 * (np.indices((MARK, MARK)).sum(axis=0) // 2 % 2) - 2
    for image, there, (y, z) in zip(x, label, place_N2):
        if there:
            image[:, y : y + MARK, z : z + MARK] = board
    return torch.from_numpy(x), torch.from_numpy(label)


def trained(net, shown):
    """The accuracy on new images, and the last loss of 60 steps with batches of 16. shown: images as the network sees them."""
    x, label = marked(320, seed=1)
    optimizer = torch.optim.AdamW(net.train().parameters(), lr=1e-2)
    for step in range(60):
        rows = torch.arange(16 * step, 16 * step + 16) % len(x)
        loss = nn.functional.cross_entropy(net(shown(x[rows])), label[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, label = marked(200, seed=2)
    with torch.no_grad():
        return float((net.eval()(shown(x)).argmax(dim=1) == label).float().mean()), float(loss.detach())


@pytest.mark.slow
def test_it_finds_a_small_mark_that_the_plain_network_does_not_see(context):
    """A mark of 0.9 % of the pixels in noise. At the size of a tile it is gone for the plain network, at the size of the image its
    mean over all places drowns it for long; attention over 16 tiles finds it, at the same cost."""
    found, own_loss = trained(changed(network(16), context, tiles=4, hidden=16), lambda x: x)
    small, _ = trained(network(16), lambda x: nn.functional.avg_pool2d(x, 4))
    _, whole_loss = trained(network(16), lambda x: x)
    assert found > 0.95
    assert small < 0.65
    assert own_loss < 0.2 * whole_loss
