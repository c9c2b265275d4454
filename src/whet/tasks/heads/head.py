"""The interface of a head for instance segmentation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.core.instance_targets import InstanceTargets
    from whet.core.masks import Detection

Detections = Callable[["np.ndarray", tuple[int, int]], "list[Detection]"]
"""The outputs (C, h, w) of an image and its size (H, W) -> its objects."""


class InstanceHead(ABC):
    """What a network predicts of images with objects, how it is trained, and how objects are read from it. The outputs of an image
    are one tensor (C, h, w); in training there may be more. It has no state. takes_boxes: whether it can be trained on objects of
    which only the box is known. by_cell: whether the outputs are a map, so that those of windows of an image can be blended."""

    takes_boxes: ClassVar[bool] = False
    by_cell: ClassVar[bool] = True

    @abstractmethod
    def outputs(self, num_classes: int) -> int:
        """C, for classes of which the first is the background."""

    @abstractmethod
    def classes(self, outputs_Chw: Tensor | np.ndarray) -> int:
        """The number of classes, from the outputs of an image."""

    @abstractmethod
    def loss(self, outputs_BChw: Tensor, targets: InstanceTargets) -> Tensor:
        """One value per image, (B,)."""

    @abstractmethod
    def combine(self, outputs_BMChw: Tensor, weight_M: Tensor) -> Tensor:
        """The outputs of several networks or views as those of one. weight_M: with sum 1."""

    @abstractmethod
    def undo(self, outputs_BChw: Tensor, flipped: Sequence[int]) -> Tensor:
        """The outputs for images flipped along these axes (-2, -1), mapped back to those for the images."""

    @abstractmethod
    def detections(self, outputs_Chw: np.ndarray, size: tuple[int, int]) -> list[Detection]:
        """The objects of an image of this size (H, W), those with the highest scores first."""

    @property
    def groupings(self) -> Mapping[str, Detections]:
        """Baselines by name: other ways to read objects from the same outputs."""
        return {}
