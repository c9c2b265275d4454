"""Tasks whose samples are images with masks, and whose networks predict masks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from whet.core.language import english
from whet.core.task import Task, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from whet.core.masks import Masks, PredictedMasks


def predicts_masks(problem: str) -> bool:
    """Whether a recipe's `task` is one of masks."""
    return any(problem in cls.problems and issubclass(cls, MaskTask) for cls in tasks())


class MaskTask(Task):
    """counts_objects: whether its masks are those of objects, in place of classes. takes_boxes: whether it can be trained on
    objects of which only the box is known. quality_title: what `quality` measures."""

    counts_objects: ClassVar[bool] = False
    takes_boxes: bool = False
    quality_title: ClassVar[str] = english("IoU")

    @property
    def groupings(self) -> Mapping[str, Callable[[Tensor, Any], Tensor]]:
        """Of objects: other ways to find them in the same outputs, by name, with the `statistics` of each. What the own one is
        worth is measured against them."""
        return {}

    @abstractmethod
    def map_of(self, masks: Masks) -> Any:
        """What this task needs of the masks of an image: a map of its pixels in its own size, class numbers uint8 (H, W), or an
        `IdMap`."""

    @abstractmethod
    def predicted(self, outputs: np.ndarray, size: tuple[int, int]) -> PredictedMasks:
        """The masks of an image of this size (H, W), from its outputs."""

    def at_size(self, outputs_BChw: Tensor, size: Sequence[int]) -> Tensor:
        """The outputs at another resolution (h, w), so that those of several networks can be combined."""
        from whet.core.mask_targets import resized

        return resized(outputs_BChw, size)

    @abstractmethod
    def quality(self, evidence: Any) -> np.ndarray:
        """How well the masks of each image are predicted, 0 … 1, (N,); NaN where that is not defined."""
