import pytest
import torch
from torch.nn.functional import conv2d

from whet.models.decoders import CondInst
from whet.models.dynamic_masks import (
    FEATURES,
    PARAMETERS,
    UNIT,
    first_parameters,
    layers,
    mask_logits,
    mirrored,
    scaled,
)


def test_a_location_is_a_network_of_three_convolutions():
    """169 parameters: 10 x 8 + 8, 8 x 8 + 8, 8 x 1 + 1; the inputs are the features and the offset from the location."""
    torch.manual_seed(0)
    assert PARAMETERS == 169
    features, parameters = torch.randn(FEATURES, 5, 7), torch.randn(2, PARAMETERS)
    at = torch.tensor([[0.5, 2.5], [3.5, 6.5]])
    found = mask_logits(features, parameters, at)
    y, x = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(7) + 0.5, indexing="ij")
    for logits, own, (row, column) in zip(found, parameters, at):
        inputs = torch.cat([features, (y - row)[None] / UNIT, (x - column)[None] / UNIT])[None]
        hidden = conv2d(inputs, own[:80].view(8, 10, 1, 1), own[80:88]).relu()
        hidden = conv2d(hidden, own[88:152].view(8, 8, 1, 1), own[152:160]).relu()
        assert torch.allclose(logits, conv2d(hidden, own[160:168].view(1, 8, 1, 1), own[168:])[0, 0], atol=1e-4)


def test_no_object_has_no_mask():
    found = mask_logits(torch.randn(FEATURES, 5, 7), torch.zeros(0, PARAMETERS), torch.zeros(0, 2))
    assert found.shape == (0, 5, 7)


def test_masks_begin_as_a_diamond_around_their_location():
    parameters = first_parameters()
    layers(parameters[None])[2][0][0, 0, 4:] = 0  # without the features
    inside = mask_logits(torch.randn(FEATURES, 16, 16), parameters[None], torch.tensor([[8.5, 6.5]]))[0] > 0
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    assert torch.equal(inside, (y - 8).abs() + (x - 6).abs() < 3)


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_a_mirrored_network_finds_the_mirrored_mask(axes):
    torch.manual_seed(0)
    features, parameters, at = torch.randn(FEATURES, 6, 9), torch.randn(1, PARAMETERS), torch.tensor([[1.5, 2.5]])
    moved = torch.tensor([[6 - 1.5 if -2 in axes else 1.5, 9 - 2.5 if -1 in axes else 2.5]])
    found = mask_logits(features.flip(axes), mirrored(parameters, axes), moved)
    assert torch.allclose(found.flip(axes), mask_logits(features, parameters, at), atol=1e-5)


def test_scaled_networks_have_scaled_logits():
    torch.manual_seed(0)
    features, parameters, at = torch.randn(FEATURES, 4, 4), torch.randn(2, PARAMETERS), torch.rand(2, 2)
    found = mask_logits(features, scaled(parameters, torch.tensor(0.3)), at)
    assert torch.allclose(found, 0.3 * mask_logits(features, parameters, at), atol=1e-5)


def test_at_first_objects_are_rare():
    outputs = CondInst((4, 8), (16, 24), 180, width=16).eval()([torch.randn(1, 16, 8, 8), torch.randn(1, 24, 4, 4)])
    assert outputs.shape == (1, 180, 8, 8)
    assert outputs[:, :2].sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)
