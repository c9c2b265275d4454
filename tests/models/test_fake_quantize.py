"""Simulated int8: the levels and gradients of fake quantization, and where a network rounds."""

import numpy as np
import pytest
import torch
from torch import nn

from whet.core.spec import ModelSpec
from whet.models.build import build_net
from whet.models.fake_quantize import (
    LEVELS,
    ActivationQuantizer,
    Simulation,
    WeightQuantizer,
    find_points,
    quantize,
)


def simulation(*, training: bool, on: bool = True) -> Simulation:
    made = Simulation().train(training)
    made.on = on
    return made


def test_weights_have_129_levels_for_each_channel_and_the_gradient_passes_through():
    torch.manual_seed(0)
    weight = torch.randn(8, 3, 3, 3, requires_grad=True)
    found = WeightQuantizer(simulation(training=True))(weight)
    scale = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True) / LEVELS
    assert torch.allclose(found, (weight / scale).round() * scale, atol=1e-6)
    assert (found / scale).round().abs().amax() == LEVELS
    factor = torch.randn_like(weight)
    (found * factor).sum().backward()
    assert torch.equal(weight.grad, factor)
    assert torch.allclose(
        WeightQuantizer(simulation(training=True))(found.detach()), found, atol=1e-6
    )  # once is enough


def test_rounding_commutes_with_the_factor_of_batchnorm():
    torch.manual_seed(0)
    weight, factor = torch.randn(8, 3, 3, 3), torch.randn(8, 1, 1, 1)  # of any sign
    quantizer = WeightQuantizer(simulation(training=False))
    assert torch.allclose(quantizer(weight * factor), quantizer(weight) * factor, atol=1e-5)


def test_activations_are_rounded_as_torch_ao_rounds_them():
    from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver

    torch.manual_seed(0)
    x = 3 * torch.randn(500)
    ours = ActivationQuantizer(simulation(training=True))
    theirs = FakeQuantize(MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8)
    found = []
    for quantizer in (ours, theirs):
        given = x.clone().requires_grad_()
        rounded = quantizer(given)  # both take the range of the first batch as it is
        rounded.sum().backward()
        with torch.no_grad():
            wide = (2 * x).requires_grad_()
        with torch.enable_grad():
            if quantizer is theirs:
                theirs.disable_observer()
                outside = theirs(wide)
            else:
                ours._simulation[0].eval()
                outside = ours(wide)
            outside.sum().backward()
        found.append((rounded.detach(), given.grad, outside.detach(), wide.grad))
    for one, other in zip(*found):
        assert torch.allclose(one, other, atol=1e-6)
    assert 0 < found[0][3].mean() < 1  # zero outside the range


def test_ranges_are_moving_averages_that_include_zero():
    quantizer = ActivationQuantizer(simulation(training=True, on=False))
    for top in (2.0, 4.0):
        x = torch.tensor([1.0, top])
        assert torch.equal(quantizer(x), x)  # not yet rounded
    keep = 2 / 11  # (1 + t) / (10 + t) for the second batch
    assert float(quantizer.low) == 0 and float(quantizer.high) == pytest.approx(keep * 2 + (1 - keep) * 4)
    quantizer._simulation[0].eval()
    assert float(quantizer(torch.tensor([9.0]))) == pytest.approx(float(quantizer.high))
    assert float(quantizer(torch.tensor([0.0]))) == 0
    assert quantizer.count == 2  # prediction does not change the range


def test_before_the_first_step_nothing_is_rounded():
    x = torch.randn(7)
    assert torch.equal(ActivationQuantizer(simulation(training=False))(x), x)


def zoo(name: str):
    torch.manual_seed(0)
    return build_net(ModelSpec(architecture=name, weights="none"), ("a", "b"))[0]


def test_a_residual_network_rounds_what_layers_read_and_what_is_added():
    net = zoo("resnet18")
    points = find_points(net)
    assert "backbone.conv1" not in points.weights and not any(name.startswith("head") for name in points.weights)
    assert len(points.weights) == 19
    places = {name.removeprefix("backbone."): place for name, place in points.activations.items()}
    assert places["maxpool"] == "after"  # what the first block reads and adds
    assert places["layer2.0.bn2"] == places["layer2.0.downsample.1"] == "after"  # both summands
    assert places["layer2.0"] == "after"  # the sum, behind its activation, which is shared in the block
    assert places["layer2.0.conv2"] == "before"


def test_the_input_of_every_layer_lies_on_256_levels(mobilenet):
    net, _ = build_net(ModelSpec(architecture=str(mobilenet), weights=str(mobilenet)), ("a", "b"))
    points = find_points(net)
    quantize(net, points)
    assert len(points.activations) == 27 and set(points.activations.values()) == {
        "after"
    }  # padding needs none of its own
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    net.train()(net.prepare(images))
    seen = {}
    for name in points.weights:
        net.get_submodule(name).register_forward_pre_hook(
            lambda module, given, name=name: seen.update({name: given[0]})
        )
    with torch.no_grad():
        net.eval()(net.prepare(images))
    assert len(seen) == len(points.weights) == 26
    assert max(len(one.unique()) for one in seen.values()) <= 256
    baked = net.baked()
    layer = baked.get_submodule(points.weights[0])
    assert isinstance(layer, nn.Conv2d) and max(len(one.unique()) for one in layer.weight) <= 2 * LEVELS + 1
    with torch.no_grad():
        assert torch.equal(baked(net.prepare(images)), net(net.prepare(images)))
