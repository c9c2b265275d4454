import numpy as np
import pytest
import torch
from tests.models.kinds import KINDS, built
from torch import nn

from whet.models.net import Net, NetSpec


def make():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Net(NetSpec("zoo", "x", ("a", "b"), (0.5, 0.4, 0.3), (0.2, 0.2, 0.1)), backbone, nn.Linear(4, 2))


def test_a_frozen_backbone_rests():
    net = make()
    net.freeze(net.backbone)
    net.apply_freezing()
    net.train()
    assert net.backbone_frozen
    assert not net.backbone.training
    assert net.head.training
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_rates_multiply():
    net = make()
    net.scale_lr(["head.weight"], 0.5)
    net.scale_lr(["head.weight"], 0.5)
    assert net.lr_scale == {"head.weight": 0.25}


def test_normalising_undoes_mean_and_deviation():
    x = make().prepare(np.full((1, 2, 2, 3), 255, dtype=np.uint8))
    assert x[0, :, 0, 0].tolist() == pytest.approx([2.5, 3.0, 7.0])
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_mean_and_deviation_are_not_weights():
    assert not {"mean", "std"} & set(make().state_dict())


class Plain(nn.Module):
    """A block whose name holds no number."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.layer = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x_BCHW):
        return self.layer(self.stem(x_BCHW)).mean(dim=(2, 3))


def test_a_computed_weight_belongs_to_the_block_of_its_layer():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0))

        def forward(self, weight):
            return self.factor * weight

    net = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), Plain(), nn.Linear(4, 2))
    before = net.block_names
    assert before == ["backbone.stem", "backbone.layer.0", "backbone.layer.1"]
    for layer in (net.backbone.stem, net.backbone.layer[0]):
        torch.nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    assert net.block_names == before
    assert [len(names) for names in net.blocks()] == [3, 3, 2, 2]
    assert net.layers(net.blocks()[0]) == [net.backbone.stem]
    net.freeze_blocks(1)
    net.apply_freezing()
    assert not any(parameter.requires_grad for parameter in net.backbone.stem.parameters())
    assert all(parameter.requires_grad for parameter in net.backbone.layer.parameters())


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet"])
def test_a_batch_of_one_trains(name, tmp_path):
    """Where it comes down to one value a channel, BatchNorm goes by the statistics it keeps."""
    KINDS[name].save(tmp_path)
    net = built(tmp_path, "image").train()
    x = net.prepare(np.full((1, 32, 32, 3), 99, dtype=np.uint8))
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    net(x).sum().backward()
    assert all(norm.training for norm in norms)
    assert sum(int(norm.num_batches_tracked) == 0 for norm in norms) < len(
        norms
    )  # maps of several places have a variance
    norm = nn.BatchNorm2d(4)
    lone = Net(NetSpec("zoo", "x", ("a", "b"), (0.5,) * 3, (0.5,) * 3), nn.Sequential(norm), nn.Linear(4, 2)).train()
    assert torch.equal(lone.backbone(torch.ones(1, 4, 1, 1)), norm.eval()(torch.ones(1, 4, 1, 1)))
