"""Heat over places: which parts of an image or a spectrogram speak for a class.

Of convolutional networks by HiResCAM (Draelos & Carin 2020, arXiv:2011.08891) after Grad-CAM (Selvaraju et al. 2017,
arXiv:1610.02391): the last map of features (C, h, w), times the gradient of the class's evidence with respect to it, summed over
the features. Grad-CAM averages the gradient over the places first and so gives heat to places that the answer does not depend on
wherever what follows is not the mean over places (a maximum, fully connected layers); where it is the mean, both are the same.
Where the mean and the linear layer alone follow, the heat adds up to the evidence less the biases; with a norm between them
(ConvNeXt) it does not.

Attention carries what a place shows to all others, so the tokens of a transformer's last layers tell nothing about places (a square
that alone decides had no more of the heat than chance gives it). Such networks, and those without a map, are asked what they
lose when a part is covered (Zeiler & Fergus 2014, arXiv:1311.2901).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from whet.explain.evidence import answering, evidence
from whet.models.ensemble import Member
from whet.models.net import Net

_LEAST = 4  # cells a side: a coarser map says nothing about places, so one before it is taken
_SPREADS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)  # may repeat one cell over a map that only looks larger
_AT_ONCE = 16  # covered images
_FAINT, _FULL = (255, 214, 92), (206, 36, 24)  # RGB of little and of most heat
_COVER = 0.85  # of what lies below at full heat


def places(member: Member, x: Tensor, k: int, parts: int = 1) -> Tensor | None:
    """How much every place of the last map of features speaks for class k, float32 (parts, h, w), against it where negative; None
    of a network without such a map, or whose places are mixed by attention. x: one sample, (1, C, H, W), that the network cuts
    into so many parts."""
    if any("attention" in type(module).__name__.lower() for module in member.net.backbone.modules()):
        return None
    with answering(member.net):
        x = x.detach().requires_grad_()
        with _maps(member.net, parts) as maps:
            said = evidence(member, x, k).sum()
        if not maps:
            return None
        last, laid_out = maps[-1]
        (gradient,) = torch.autograd.grad(said, last)
    return laid_out(gradient * last.detach()).sum(dim=1).float().cpu()


Layout = Callable[[Tensor], Tensor]
"""What a module gives -> the same as a map (parts, C, h, w)."""


@contextlib.contextmanager
def _maps(net: Net, parts: int) -> Iterator[list[tuple[Tensor, Layout]]]:
    """Within the block the list fills with whatever modules of the backbone give that lies over places, in order."""
    kept: list[tuple[Tensor, Layout]] = []

    def keep(module: nn.Module, inputs: tuple, output: object) -> None:
        found = output[0] if isinstance(output, tuple) and output else output
        laid_out = _layout(module, found) if isinstance(found, Tensor) and len(found) == parts else None
        if isinstance(found, Tensor) and laid_out is not None and min(laid_out(found).shape[2:]) >= _LEAST:
            kept.append((found, laid_out))

    chosen = [module for module in net.backbone.modules() if not isinstance(module, _SPREADS)]
    handles = [module.register_forward_hook(keep) for module in chosen]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _layout(module: nn.Module, found: Tensor) -> Layout | None:
    """How what a module gives lies over places; None where it does not. Layers that work on the last axis have the channels there
    (FocalNet's, the inside of ConvNeXt's blocks), and so have maps that are square over their first two axes alone. A norm may be
    given the places of a square map one after another."""
    if found.dim() == 4:
        height, width, last = found.shape[1:]
        channels_last = isinstance(module, nn.Linear | nn.LayerNorm) or height == width != last
        return _channels_first if channels_last else _as_it_is
    side = math.isqrt(found.shape[1]) if found.dim() == 3 else 0
    if isinstance(module, nn.LayerNorm) and side and side * side == found.shape[1]:
        return lambda x: _channels_first(x.unflatten(1, (side, side)))
    return None


def _channels_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _as_it_is(x: Tensor) -> Tensor:
    return x


def covered(member: Member, x: Tensor, k: int, side: int) -> Tensor:
    """The evidence for class k that is lost where an image, (1, 3, H, W), is covered with the mean colour: float32 (side, side).
    Squares of 2 x 2 cells are covered in turn, overlapping by half, as one cell alone is often missed by nobody; a cell has the
    mean of what the squares over it lose."""
    height, width = x.shape[2:]
    top, left = ((torch.arange(side + 1) * size // side).tolist() for size in (height, width))
    squares = [(row, column) for row in range(side - 1) for column in range(side - 1)]
    lost, times = torch.zeros(side, side), torch.zeros(side, side)
    with answering(member.net), torch.no_grad():
        whole = evidence(member, x, k)
        for first in range(0, len(squares), _AT_ONCE):
            some = squares[first : first + _AT_ONCE]
            hidden = x.repeat(len(some), 1, 1, 1)
            for image, (row, column) in zip(hidden, some):
                image[:, top[row] : top[row + 2], left[column] : left[column + 2]] = 0
            for (row, column), loss in zip(some, (whole - evidence(member, hidden, k)).tolist()):
                lost[row : row + 2, column : column + 2] += loss
                times[row : row + 2, column : column + 2] += 1
    return lost / times


def stretched(heat_hw: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map over more places, between its cells in a straight line; the sum stays about the same."""
    grown = cv2.resize(heat_hw.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return grown * (heat_hw.size / grown.size)


def overlay(image: np.ndarray, heat_HW: np.ndarray) -> np.ndarray:
    """An image, RGB uint8 (H, W, 3), paled to grey, with what speaks for the class in yellow to red over it, the most in full
    red. What speaks against it is left grey."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[:, :, None]
    heat = np.maximum(heat_HW, 0)
    share = (heat / heat.max() if heat.max() > 0 else heat)[:, :, None]
    colour = (1 - share) * np.array(_FAINT, np.float32) + share * np.array(_FULL, np.float32)
    cover = _COVER * share**1.4
    paled = 0.8 * grey + 0.2 * 255
    return ((1 - cover) * paled + cover * (0.7 * colour + 0.3 * paled * colour / 255)).clip(0, 255).astype(np.uint8)
