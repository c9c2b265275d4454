"""Masks from small networks whose weights are predicted: each location of a map has a network of its own that finds the pixels of
its object.

Source: Tian, Shen, Chen 2020, arXiv:2003.05664 (CondInst). A network has three 1x1 convolutions with 8, 8 and 1 outputs and ReLU
between them: 169 parameters, those of a layer in the order of its weights (outputs, inputs), then its biases. Its inputs are 8
features of the pixel and its offset (y, x) from the location.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FEATURES, _WIDTH = 8, 8
_LAYERS = ((_WIDTH, FEATURES + 2), (_WIDTH, _WIDTH), (1, _WIDTH))  # (outputs, inputs)
PARAMETERS = sum(outputs * inputs + outputs for outputs, inputs in _LAYERS)
UNIT = 8.0  # cells: the length of an offset of 1 in the inputs
_FIRST_RADIUS, _FIRST_SLOPE = 3.0, 4.0  # of the masks of `first_parameters`: cells, logit per UNIT


def layers(parameters_NP: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The weights (N, outputs, inputs) and biases (N, outputs) of the three layers, as views."""
    found, start = [], 0
    for outputs, inputs in _LAYERS:
        middle, stop = start + outputs * inputs, start + outputs * inputs + outputs
        weight = parameters_NP[:, start:middle].unflatten(1, (outputs, inputs))
        found.append((weight, parameters_NP[:, middle:stop]))
        start = stop
    return found


def mask_logits(features_Fhw: Tensor, parameters_NP: Tensor, at_N2: Tensor) -> Tensor:
    """The logits of the masks of N objects, (N, h, w). at_N2: their locations (y, x) in cells; the middle of the first cell is at
    0.5."""
    h, w = features_Fhw.shape[1:]
    (weight1, bias1), (weight2, bias2), (weight3, bias3) = layers(parameters_NP)
    y_h, x_w = ((torch.arange(side, device=features_Fhw.device) + 0.5).to(features_Fhw) / UNIT for side in (h, w))
    place_2hw = torch.stack([y_h[:, None].expand(h, w), x_w.expand(h, w)])
    inputs = torch.cat([features_Fhw, place_2hw]).flatten(1)
    # The offset is place - at: the part of `at` is the same for all pixels, as a bias is.
    moved1 = bias1 - (weight1[:, :, FEATURES:] @ (at_N2.to(features_Fhw) / UNIT)[..., None])[..., 0]
    x_NWp = (weight1 @ inputs + moved1[..., None]).relu()
    x_NWp = torch.baddbmm(bias2[..., None], weight2, x_NWp).relu()
    return torch.baddbmm(bias3[..., None], weight3, x_NWp)[:, 0].unflatten(1, (h, w))


def first_parameters() -> Tensor:
    """Parameters (P,) to begin with: a diamond around the location. Four units have the distance along an axis, the others the
    features; these have no part in the mask yet."""
    parameters_1P = torch.zeros(1, PARAMETERS)
    (weight1, _), (weight2, _), (weight3, bias3) = layers(parameters_1P)
    for unit, (axis, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
        weight1[0, unit, FEATURES + axis] = sign
        weight3[0, 0, unit] = -_FIRST_SLOPE
    free = slice(4, _WIDTH)
    nn.init.normal_(weight1[0, free, :FEATURES], std=math.sqrt(2 / FEATURES))
    weight2[0] = torch.eye(_WIDTH)
    nn.init.normal_(weight3[0, 0, free], std=0.1)
    bias3[0, 0] = _FIRST_SLOPE * _FIRST_RADIUS / UNIT
    return parameters_1P[0]


def mirrored(parameters_NP: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The parameters for an image flipped along these axes (-2, -1), for the image: offsets along them have the other sign."""
    parameters_NP = parameters_NP.clone()
    weight1, _ = layers(parameters_NP)[0]
    for axis in axes:  # the last two inputs are the offsets along the last two axes
        weight1[:, :, axis] *= -1
    return parameters_NP


def scaled(parameters_NP: Tensor, factor: Tensor) -> Tensor:
    """The parameters of masks whose logits are `factor` times as large."""
    last = _WIDTH + 1
    return torch.cat([parameters_NP[:, :-last], parameters_NP[:, -last:] * factor], dim=1)
