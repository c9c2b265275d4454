"""What is behind a predictor and changes its outputs alone need not see inputs again."""

import torch
from torch import nn

from whet.methods.ensemble.fusion import Combined
from whet.methods.ensemble.linear import ScaledLogits, Tempered
from whet.methods.ensemble.tta import Views
from whet.models.on_outputs import behind
from whet.tasks import SINGLE_LABEL


def test_outputs_that_are_known_become_the_same():
    net = nn.Linear(4, 3)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    predictor = Combined(Tempered(ScaledLogits(net, shift=[0.5, -1.0, 0.0]), 2.0), SINGLE_LABEL)
    inner, changed = behind(predictor)
    assert inner is net
    assert torch.equal(changed(net(x)), predictor(x))
    assert torch.equal(predictor(x), (net(x) + torch.tensor([0.5, -1.0, 0.0])) / 2)


def test_what_looks_at_inputs_is_not_passed_over():
    views = Views(nn.Identity(), SINGLE_LABEL, flip=True, vertical_flip=False, zooms=())
    inner, _ = behind(Tempered(views, 2.0))
    assert inner is views
