"""Explanations of masks: the evidence of the pixels of a class."""

import pytest
import torch
from torch import nn

from whet.explain.evidence import evidence, region
from whet.explain.heat import covered, places
from whet.models.decoders import Decoder
from whet.models.ensemble import Member
from whet.models.net import Net, NetSpec

CLASSES = ("background", "can", "glass")


class Pixelwise(Decoder):
    """A classifier of every cell by itself."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Conv2d(5, 3, 1)

    def forward(self, x):
        return self.classifier(x)


@pytest.fixture
def member():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU())
    spec = NetSpec("zoo", "x", CLASSES, (0.5,) * 3, (0.5,) * 3, task="semantic-segmentation", head="own")
    net = Net(spec, backbone, Pixelwise()).eval()
    with torch.no_grad():
        net.head.classifier.weight *= 5
    return Member.of(net)


def test_the_evidence_is_the_mean_over_the_predicted_pixels(member):
    x = torch.randn(1, 3, 8, 8)
    logits = member(x)[0]
    for k in range(3):
        there = logits.argmax(dim=0) == k
        there = there if there.any() else torch.ones_like(there)
        cells = region(member, x, k)
        assert torch.equal(cells, there)
        assert evidence(member, x, k, cells).item() == pytest.approx(
            (logits[k] - logits.mean(dim=0))[there].mean().item(), abs=1e-6
        )


def test_cells_that_decide_nothing_have_no_heat_and_the_others_their_share(member):
    """Each cell decides on itself alone: its heat is its part of the mean, without the bias."""
    x = torch.randn(1, 3, 8, 8)
    k = int(member(x)[0].argmax(dim=0).flatten().mode().values)
    cells, heat = region(member, x, k), places(member, x, k)[0]
    assert cells.any() and not cells.all()
    layer = member.net.head.classifier
    weight = (layer.weight[k] - layer.weight.mean(dim=0)).flatten()
    own = torch.einsum("dhw,d->hw", member.net.backbone(x)[0], weight) / cells.sum()
    assert torch.allclose(heat, torch.where(cells, own, 0).detach(), atol=1e-6)
    bias = layer.bias[k] - layer.bias.mean()
    assert heat.sum().item() + bias.item() == pytest.approx(evidence(member, x, k, cells).item(), abs=1e-5)


def test_what_is_covered_is_judged_by_the_pixels_of_the_whole_image(member):
    """Covering cells outside the region takes nothing away."""
    with torch.no_grad():
        member.net.head.classifier.weight.zero_()
        member.net.head.classifier.weight[1] = 1
        member.net.head.classifier.bias.copy_(torch.tensor([0.5, 0.0, -9.0]))
        member.net.backbone[0].bias.zero_()
        member.net.backbone[0].weight.fill_(1)
    x = torch.zeros(1, 3, 8, 8)
    x[:, :, :, :4] = 1
    lost = covered(member, x, 1, 8)
    assert region(member, x, 1)[:, :4].all() and not region(member, x, 1)[:, 4:].any()
    assert (lost[:, :3] > 0).all() and torch.allclose(lost[:, 5:], torch.tensor(0.0), atol=1e-6)
