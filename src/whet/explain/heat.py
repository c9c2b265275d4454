"""Heat maps: which parts of an image or a spectrogram are evidence for a class.

For convolutional networks by HiResCAM (Draelos & Carin 2020, arXiv:2011.08891) after Grad-CAM (Selvaraju et al. 2017,
arXiv:1610.02391): the last feature map (C, h, w), times the gradient of the class's evidence with respect to it, summed over the
channels. Grad-CAM averages the gradient over the cells first, and so highlights cells that the prediction does not depend on,
unless the map is followed by the mean over cells (as opposed to a maximum or fully connected layers); for the mean, both are the
same. If only the mean and the linear layer follow, the heat sums to the evidence without the biases; with a norm between them
(ConvNeXt) it does not.

Attention mixes information from all positions, so the tokens of a transformer's last layers are not localised (for a square that
alone decides, the heat was no higher than by chance). Such networks, and those without a map, are explained by occlusion: the
evidence lost when a part is covered (Zeiler & Fergus 2014, arXiv:1311.2901). Networks that pool tiles by attention are explained by
the tiles.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from whet.explain.evidence import evidence, region, with_gradients
from whet.models.bags import pooling_of
from whet.models.ensemble import Member
from whet.models.net import Net

_LEAST = 4  # minimum cells per side: a coarser map is not localised, so an earlier one is used
_SPREADS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)  # may repeat one cell over a larger map
_AT_ONCE = 16  # covered images per batch
_FAINT, _FULL = (255, 214, 92), (206, 36, 24)  # RGB of low and of maximum heat
_COVER = 0.85  # opacity at maximum heat


def places(member: Member, x: Tensor, k: int, parts: int = 1) -> Tensor | None:
    """The evidence for class k of every cell of the last feature map, negative for evidence against it, float32 (parts, h, w); None
    for a network without such a map, or with attention. x: one sample, (1, C, H, W), which the network splits into `parts`
    patches."""
    if any("attention" in type(module).__name__.lower() for module in member.net.backbone.modules()):
        return None
    with with_gradients(member.net):
        x, cells = x.detach().requires_grad_(), region(member, x, k)
        with _maps(member.net, parts) as maps:
            score = evidence(member, x, k, cells).sum()
        for last, to_map in reversed(maps):  # a head for masks may not use the last one
            (gradient,) = torch.autograd.grad(score, last, retain_graph=True, allow_unused=True)
            if gradient is not None:
                return to_map(gradient * last.detach()).sum(dim=1).float().cpu()
    return None


Layout = Callable[[Tensor], Tensor]
"""Converts the output of a module to a map (parts, C, h, w)."""


@contextlib.contextmanager
def _maps(net: Net, parts: int) -> Iterator[list[tuple[Tensor, Layout]]]:
    """Within the block, the list collects the spatial outputs of the backbone's modules, in order."""
    kept: list[tuple[Tensor, Layout]] = []

    def keep(module: nn.Module, inputs: tuple, output: object) -> None:
        found = output[0] if isinstance(output, tuple) and output else output
        to_map = _layout(module, found) if isinstance(found, Tensor) and len(found) == parts else None
        if isinstance(found, Tensor) and to_map is not None and min(to_map(found).shape[2:]) >= _LEAST:
            kept.append((found, to_map))

    chosen = [module for module in net.backbone.modules() if not isinstance(module, _SPREADS)]
    handles = [module.register_forward_hook(keep) for module in chosen]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _layout(module: nn.Module, found: Tensor) -> Layout | None:
    """How to convert a module's output to a map; None where it is not spatial. Layers that act on the last axis have the channels
    there (FocalNet's, the inside of ConvNeXt's blocks), and so have maps that are square only over their first two axes. The input
    of a norm may be a flattened square map."""
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
    Squares of 2 x 2 cells are covered in turn with half overlap, because covering one cell often has no effect; the value of a cell
    is the mean loss of the squares that contain it."""
    height, width = x.shape[2:]
    top, left = ((torch.arange(side + 1) * size // side).tolist() for size in (height, width))
    squares = [(row, column) for row in range(side - 1) for column in range(side - 1)]
    lost, times = torch.zeros(side, side), torch.zeros(side, side)
    with with_gradients(member.net), torch.no_grad():
        cells = region(member, x, k)
        whole = evidence(member, x, k, cells)
        for first in range(0, len(squares), _AT_ONCE):
            some = squares[first : first + _AT_ONCE]
            hidden = x.repeat(len(some), 1, 1, 1)
            for image, (row, column) in zip(hidden, some):
                image[:, top[row] : top[row + 2], left[column] : left[column + 2]] = 0
            for (row, column), loss in zip(some, (whole - evidence(member, hidden, k, cells)).tolist()):
                lost[row : row + 2, column : column + 2] += loss
                times[row : row + 2, column : column + 2] += 1
    return lost / times


def of_tiles(member: Member, x: Tensor, k: int) -> Tensor | None:
    """The evidence for class k of every tile of an image, (1, 3, H, W), times its attention weight: float32 (1, side, side). The
    sum is the evidence of the image where the head is linear. None for a network that does not see tiles."""
    pool = pooling_of(member.net.backbone)
    if pool is None:
        return None
    kept: list[Tensor] = []
    handle = pool.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    try:
        with with_gradients(member.net), torch.no_grad():
            member(x)
            weight_T = pool.weights(kept[0][None])[0]
            logits_TK = member.net.head(kept[0]).float()[:, list(member.columns)]
    finally:
        handle.remove()
    own_T = logits_TK[:, k]
    if member.net.task.exclusive:
        own_T = own_T - logits_TK.mean(dim=1)
    side = math.isqrt(len(weight_T))
    return (weight_T * own_T).view(1, side, side).cpu()


def stretched(heat_hw: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a map by bilinear interpolation; the sum stays about the same."""
    grown = cv2.resize(heat_hw.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return grown * (heat_hw.size / grown.size)


def overlay(image: np.ndarray, heat_HW: np.ndarray) -> np.ndarray:
    """A greyscale version of an image, RGB uint8 (H, W, 3), with positive evidence in yellow to red; the maximum is full red.
    Negative evidence is not coloured."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[:, :, None]
    heat = np.maximum(heat_HW, 0)
    share = (heat / heat.max() if heat.max() > 0 else heat)[:, :, None]
    colour = (1 - share) * np.array(_FAINT, np.float32) + share * np.array(_FULL, np.float32)
    cover = _COVER * share**1.4
    paled = 0.8 * grey + 0.2 * 255
    return ((1 - cover) * paled + cover * (0.7 * colour + 0.3 * paled * colour / 255)).clip(0, 255).astype(np.uint8)
