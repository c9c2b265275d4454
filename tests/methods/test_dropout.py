import numpy as np
import pytest
import torch

from whet.core.rng import Rng
from whet.methods import Dropout


def test_share_and_scale(net, context):
    model = Dropout(prob=0.3).change(net(), context())
    drop = model.head[0].train()
    with Rng(0).torch_scope("model", 0):
        out = drop(torch.ones(200, 500))
    assert (out == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    assert np.unique(out.numpy()) == pytest.approx([0, 1 / 0.7])
    assert out.mean() == pytest.approx(1.0, abs=0.01)


def test_nothing_is_dropped_at_prediction(net, context):
    model = net().eval()
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    assert torch.equal(Dropout(prob=0.5).change(model, context()).eval()(x), expected)


def test_one_step_one_draw(net, context):
    """A closure called twice within a step sees the same features dropped; the next step sees others."""
    model = Dropout(prob=0.5).change(net(), context()).train()
    x = torch.ones(4, 6)
    draws = []
    for step in (3, 3, 4):
        with Rng(1).torch_scope("model", step):
            draws.append(model.head[0](x))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
