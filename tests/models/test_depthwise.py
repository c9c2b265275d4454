import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from whet.core.rng import Rng
from whet.models.depthwise import StridedDepthwiseConv2d, speed_up_depthwise


def gradients(conv, x):
    x = x.clone().requires_grad_()
    y = conv(x)
    (y * torch.arange(y.numel(), dtype=y.dtype).view_as(y).sin()).sum().backward()
    found = y.detach(), x.grad, conv.weight.grad.clone(), None if conv.bias is None else conv.bias.grad.clone()
    conv.zero_grad()
    return found


@given(
    st.integers(2, 3),
    st.sampled_from([3, 5]),
    st.integers(0, 2),
    st.integers(9, 14),
    st.integers(9, 14),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=40)
def test_the_same_gradients_as_torch_s_own(stride, kernel, padding, height, width, bias, channels_last):
    conv = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=bias).double()
    x = torch.randn(2, 6, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    expected = gradients(conv, x)
    assert speed_up_depthwise(nn.Sequential(conv)) == 1
    assert isinstance(conv, StridedDepthwiseConv2d)
    for ours, theirs in zip(gradients(conv, x), expected):
        assert (ours is None and theirs is None) or torch.allclose(ours, theirs, atol=1e-12)


def test_under_autocast_it_computes_in_bfloat16(monkeypatch):
    conv = nn.Conv2d(4, 4, 3, 2, groups=4)
    x = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        expected = conv(x)
        speed_up_depthwise(nn.Sequential(conv))
        ours = conv(x)
    assert ours.dtype == expected.dtype == torch.bfloat16
    assert torch.allclose(ours.float(), expected.float(), atol=0.02)


def test_state_and_prediction_are_untouched():
    conv = nn.Conv2d(4, 4, 3, 2, groups=4)
    before, x = {k: v.clone() for k, v in conv.state_dict().items()}, torch.ones(1, 4, 7, 7)
    expected = conv(x)
    speed_up_depthwise(nn.Sequential(conv))
    assert all(torch.equal(v, before[k]) for k, v in conv.state_dict().items())
    with torch.inference_mode():
        assert torch.equal(conv(x), expected)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, 1, groups=4),
        nn.Conv2d(4, 8, 3, 2, groups=4),
        nn.Conv2d(4, 4, 3, 2),
        nn.Conv2d(1, 1, 3, 2),
        nn.Conv2d(4, 4, 3, 2, groups=4, dilation=2),
        nn.Conv2d(4, 4, 3, 2, 1, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 4, 1, 2, 1, groups=4),
    ],
)
def test_other_convolutions_are_left_alone(conv):
    assert speed_up_depthwise(nn.Sequential(conv)) == 0
    assert type(conv) is nn.Conv2d


def test_the_gradient_can_be_differentiated_again(monkeypatch):
    """A penalty on the input's gradient: its own gradient is that of torch's convolution, however few samples at a time."""
    monkeypatch.setattr("whet.models.depthwise._SPREAD_BYTES", 1)
    with Rng(0).torch_scope("init"):
        plain = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6).double()
        x = torch.empty(3, 6, 9, 8, dtype=torch.float64).normal_().requires_grad_()
    fast = copy.deepcopy(plain)
    assert speed_up_depthwise(fast) == 1
    found = []
    for layer in (plain, fast):
        (gradient,) = torch.autograd.grad(layer(x).sin().sum(), x, create_graph=True)
        gradient.square().sum().backward()
        found.append((layer.weight.grad, x.grad))
        x.grad = None
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(*found))
