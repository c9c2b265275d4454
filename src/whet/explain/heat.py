"""Heat over places: which parts of a picture or a spectrogram speak for a class.

Source: HiResCAM (Draelos & Carin 2020, arXiv:2011.08891) after Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): the last map of
features (C, h, w), times the gradient of the class's evidence with respect to it, summed over the features. Grad-CAM averages the
gradient over the places first and so gives heat to places that the answer does not depend on wherever what follows is not the mean
over places (a maximum, fully connected layers); where it is the mean, both are the same, and the heat sums up to the evidence less
the biases. Of a transformer the tokens that stand for patches are the map.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from whet.explain.evidence import CannotExplain, answering, evidence
from whet.models.ensemble import Member
from whet.models.net import Net

_LEAST = 4  # cells a side: a coarser map says nothing about places, so one before it is taken
_BESIDE = 5  # the most tokens beside those of the patches: [CLS], a distilled one, four registers
_SPREADS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)  # may repeat one cell over a map that only looks larger
_NOT_PLACES = (nn.Dropout, nn.Dropout2d)  # of attention: (B, heads, tokens, tokens)
_FAINT, _FULL = (255, 214, 92), (206, 36, 24)  # RGB of little and of most heat
_COVER = 0.85  # of what lies below at full heat


def places(member: Member, x: Tensor, k: int, parts: int = 1) -> Tensor:
    """How much every place of the last map speaks for class k, float32 (parts, h, w), against it where negative. x: one sample,
    (1, C, H, W), that the network cuts into so many parts. Raises CannotExplain."""
    with answering(member.net):
        x = x.detach().requires_grad_()
        with _maps(member.net, parts) as maps:
            said = evidence(member, x, k).sum()
        for map_ in reversed(maps):
            (gradient,) = torch.autograd.grad(said, map_, retain_graph=True, allow_unused=True)
            if gradient is None:
                continue
            heat = _over_places(gradient.detach() * map_.detach(), parts)
            # Nothing flows back to the patches of a transformer from behind its last attention if [CLS] alone is read.
            if not torch.isfinite(heat).all():
                break
            if (heat != 0).any():
                return heat.float().cpu()
    spec = member.net.spec
    raise CannotExplain(
        f"{spec.architecture} has no map of {_LEAST} x {_LEAST} places or more that its answer to this {spec.medium} is made from; "
        "accepted: convolutional networks and vision transformers"
    )


@contextlib.contextmanager
def _maps(net: Net, parts: int) -> Iterator[list[Tensor]]:
    """Within the block the list fills with whatever modules of the backbone give that lies over places, in order."""
    kept: list[Tensor] = []
    blocks = {id(net.get_submodule(name)) for name in net.block_names}

    def keep(module: nn.Module, inputs: tuple, output: object) -> None:
        found = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(found, Tensor) or found.shape[0] != parts or not found.requires_grad:
            return
        # Of tokens only whole vectors count, normalised or as a block leaves them, not what attention makes of them within.
        tokens = found.dim() == 3 and (id(module) in blocks or isinstance(module, nn.LayerNorm))
        if (tokens and _side(found.shape[1])) or (found.dim() == 4 and min(found.shape[2:]) >= _LEAST):
            kept.append(found)

    chosen = [module for module in net.backbone.modules() if not isinstance(module, (*_SPREADS, *_NOT_PLACES))]
    handles = [module.register_forward_hook(keep) for module in chosen]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _side(tokens: int) -> int:
    """The patches of a side of the square that so many tokens stand for; 0 where they stand for none."""
    side = math.isqrt(tokens)
    return side if side >= _LEAST and tokens - side * side <= _BESIDE else 0


def _over_places(share: Tensor, parts: int) -> Tensor:
    """Shares of evidence (parts, C, h, w), or (parts, tokens, D) -> (parts, h, w)."""
    if share.dim() == 4:
        return share.sum(dim=1)
    side = _side(share.shape[1])
    return share.sum(dim=2)[:, -side * side :].view(parts, side, side)


def stretched(heat_hw: np.ndarray, height: int, width: int) -> np.ndarray:
    """A map over more places, between its cells in a straight line; the sum stays about the same."""
    grown = cv2.resize(heat_hw.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return grown * (heat_hw.size / grown.size)


def overlay(picture: np.ndarray, heat_HW: np.ndarray) -> np.ndarray:
    """A picture, RGB uint8 (H, W, 3), paled to grey, with what speaks for the class in yellow to red over it, the most in full
    red. What speaks against it is left grey."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[:, :, None]
    heat = np.maximum(heat_HW, 0)
    share = (heat / heat.max() if heat.max() > 0 else heat)[:, :, None]
    colour = (1 - share) * np.array(_FAINT, np.float32) + share * np.array(_FULL, np.float32)
    cover = _COVER * share**1.4
    paled = 0.8 * grey + 0.2 * 255
    return ((1 - cover) * paled + cover * (0.7 * colour + 0.3 * paled * colour / 255)).clip(0, 255).astype(np.uint8)
