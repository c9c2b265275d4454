"""Ensembles of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.errors import RecipeError
from whet.core.mask_task import MaskTask
from whet.core.task import Task
from whet.models.front import ImageFront
from whet.models.net import Net


class Ensemble(nn.Module):
    """The mean of the networks' probabilities, as logits (B, K) or (B, K, h, w)."""

    def __init__(self, nets: Sequence[Net]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.task = nets[0].task

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.task.combine(together([net(x_BCHW).float() for net in self.nets], self.task))


@dataclass(frozen=True)
class Member:
    """A network of an ensemble. shown: maps inputs of the first network to its own inputs. columns: the positions of the first
    network's classes among its own."""

    net: Net
    shown: Callable[[Tensor], Tensor]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, net: Net) -> Member:
        """A network that receives its own inputs."""
        return cls(net, lambda x: x, tuple(range(len(net.spec.classes))))

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B, K), with the classes in the first network's order."""
        return self.net(self.shown(x)).float()[:, list(self.columns)]

    def beside(self, shown: Callable[[Tensor], Tensor], columns: Sequence[int]) -> Member:
        """The same network with respect to the inputs and classes of another first network."""
        return Member(self.net, lambda x: self.shown(shown(x)), tuple(self.columns[k] for k in columns))


def as_one(nets: Sequence[Net]) -> nn.Module:
    """An ensemble of the networks, or the network itself if there is only one."""
    return Ensemble(nets) if len(nets) > 1 else nets[0]


class SideBySide(nn.Module):
    """The outputs of several models: inputs of the first -> outputs (B, M, …)."""

    def __init__(self, predictors: Sequence[nn.Module], task: Task) -> None:
        super().__init__()
        self.predictors, self.task = nn.ModuleList(predictors), task

    def forward(self, x: Tensor) -> Tensor:
        return together([predictor(x).float() for predictor in self.predictors], self.task)


def together(outputs: Sequence[Tensor], task: Task) -> Tensor:
    """The outputs of several models in one tensor (B, M, …); maps at the resolution of the finest."""
    if isinstance(task, MaskTask):
        size = [max(one.shape[axis] for one in outputs) for axis in (2, 3)]
        outputs = [task.at_size(one, size) for one in outputs]
    if len({one.shape[1] for one in outputs}) > 1:
        raise RecipeError(
            f"the models return {', '.join(str(one.shape[1]) for one in outputs)} outputs and cannot be combined"
        )
    return torch.stack(list(outputs), dim=1)


class Shown(nn.Module):
    """Converts the image inputs of one network to those of another: changes the normalisation and, if a size is given, resizes with
    anti-aliasing."""

    scale: Tensor
    shift: Tensor

    def __init__(self, theirs: ImageFront, their_size: int | None, ours: ImageFront) -> None:
        super().__init__()
        self.register_buffer("scale", ours.std / theirs.std, persistent=False)
        self.register_buffer("shift", (ours.mean - theirs.mean) / theirs.std, persistent=False)
        self.size = their_size

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x = x_BCHW * self.scale + self.shift
        return x if self.size is None else resized(x, self.size)


def shown_as(theirs: Net, their_size: int | None, ours: Net) -> nn.Module:
    """A module that converts the inputs of one network (`ours`, at any size) to those of another: see `Shown`. For other media than
    images the fronts must be equal; otherwise RecipeError."""
    if theirs.front.like(ours.front) and not isinstance(ours.front, ImageFront):
        return nn.Identity()
    if not isinstance(theirs.front, ImageFront) or not isinstance(ours.front, ImageFront):
        raise RecipeError(f"a model with {theirs.front} cannot use inputs prepared by {ours.front}")
    return Shown(theirs.front, their_size, ours.front)


def resized(x_BCHW: Tensor, size: int) -> Tensor:
    """Resize rendered images with anti-aliasing."""
    if x_BCHW.shape[2:] == (size, size):
        return x_BCHW
    return F.interpolate(x_BCHW, size=(size, size), mode="bilinear", antialias=True)
