import pytest
import torch
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
    x = make().normalise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8))
    assert x[0, :, 0, 0].tolist() == pytest.approx([2.5, 3.0, 7.0])
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_mean_and_deviation_are_not_weights():
    assert not {"mean", "std"} & set(make().state_dict())
