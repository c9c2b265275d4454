from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple, Self

import cv2
import numpy as np
import torch
from pydantic import Field, PrivateAttr

from whet.core.errors import NoEffectError
from whet.core.masks import Kind, Masks
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.search import Search
from whet.core.stages import Follows, MakesMasks, MaskMaker
from whet.core.task import allowed
from whet.methods.ensemble.members import member_recipe
from whet.methods.weak.cam import Activations
from whet.methods.weak.cut import cut
from whet.models.build import load_net
from whet.models.decoders import resized
from whet.models.net import Net

_CLASSIFIER = "image-classification"
_SIDE = 320  # pixels of the longer side of the maps
_CUT_SIDE, _CUTS = 128, 3
_MARGIN = 0.02  # of the shorter side: objects are rarely cut off by the border of a photo
_SURE = 0.5  # probability from which a pixel may be of an object that a trained network finds


class CamToMask(Method, MakesMasks, Follows, family="weak", tasks={"semantic-segmentation"}):
    """From the classes of images to masks: train a classifier, look where it finds the classes, cut out what has these colours, and
    train on the result.

    Use when: only the classes of images are known, and drawing is too slow. A few images must have masks, to validate and test on.
    Do not use when: a class always occurs with the same surroundings (fish and water), or boxes can be drawn: they are much better.
    Source: Zhou et al. 2016, arXiv:1512.04150 (activation maps); Rother, Kolmogorov, Blake 2004, "GrabCut" (the cut); Wei, Wen,
    Zhu, Sun 2012, "Geodesic saliency using background priors" (the border of a photo is background).
    Deviates: no boxes, but activation maps say where the cut begins. Thresholds are fixed, not fitted.
    Shapes: the classifier has the same backbone, and the labels that occur in each image. Its maps at the `scales` of its own size
    and mirrored are added, and classes that the image does not have are left out. GrabCut begins with the pixels above
    `foreground` as object and those below `background`, or within 2 % of the border, as certain background; each pixel of the
    object gets the class with most evidence. In each further round, the probabilities that the network of the round before
    predicts are the evidence. Of a budget in minutes, the classifier has a third of the time of each other training.
    """

    exceptions = {"identity": "it has no strength; without classes of images it changes nothing"}
    conflicts = frozenset({"label_fill"})
    makes_of: ClassVar[frozenset[Kind]] = frozenset({"label"})

    foreground: Annotated[
        float,
        Field(gt=0, le=1, description="evidence, 0 to 1, from which a pixel may be of an object"),
        Search(0.2, 0.6),
    ] = 0.35
    background: Annotated[
        float, Field(ge=0, lt=1, description="evidence below which a pixel is certainly background"), Search(0.05, 0.3)
    ] = 0.10
    scales: Annotated[
        tuple[float, ...], Field(min_length=1, description="image sizes at which the classifier looks, times its own")
    ] = (1.0, 1.5)
    rounds: Annotated[
        int,
        Field(ge=0, le=3, description="further trainings, each on the masks predicted by the one before"),
        Search(0, 2),
    ] = 0

    _before: str = PrivateAttr("")

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        before = member_recipe(recipe, self.name, 1, 3 * self.rounds + 4, shares=3 * self.rounds + 1)
        if self.rounds:
            return before.with_methods(self.replace(rounds=self.rounds - 1))
        kept = tuple(method for method in before.methods if allowed(_CLASSIFIER, method))
        return before.replace(task=_CLASSIFIER, methods=kept, model=before.model.replace(head="auto"))

    def following(self, run: str) -> Self:
        copied = self.model_copy()
        copied._before = run
        return copied

    def mask_maker(self, net: Net, classes: tuple[str, ...]) -> MaskMaker:
        if not self._before:
            raise NoEffectError("no network was trained before this one")
        run = RunFolder(self._before)
        before, size = load_net(run.model).on(net.device), Recipe.load(run.recipe).eval_size
        order = [before.spec.classes.index(name) for name in classes]
        if before.maps is None:
            return _OfClassifier(self, Activations(before), order, size)
        return _OfSegmenter(self, before.eval(), order, size)


class _OfClassifier:
    """The masks of the first round."""

    def __init__(self, method: CamToMask, maps: Activations, order: list[int], size: int) -> None:
        self._method, self._maps, self._order = method, maps, order
        self._sizes = [max(32, round(size * scale / 32) * 32) for scale in method.scales]
        self._lock = threading.Lock()

    def __call__(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, np.ndarray]:
        small, numbers = _reduced(pixels_HWC), _numbers(masks)
        if not numbers:
            return {"cut": np.zeros(masks.size, np.uint8)}
        with self._lock:
            found_KHW = self._maps.of(pixels_HWC, [self._order[k] for k in numbers], self._sizes, small.shape[:2])
        evidence_KHW = found_KHW.cpu().numpy()
        most_HW = evidence_KHW.max(axis=0)
        margin = max(1, round(_MARGIN * min(most_HW.shape)))
        inside = (slice(margin, -margin), slice(margin, -margin))
        outside_HW = np.ones(most_HW.shape, bool)
        outside_HW[inside] = most_HW[inside] < self._method.background
        places = _Places(evidence_KHW, most_HW >= self._method.foreground, outside_HW)
        return {name: _enlarged(map_HW, masks) for name, map_HW in places.maps("seed", small, numbers).items()}


class _OfSegmenter:
    """The masks of further rounds: the classes of the image that a trained network finds."""

    def __init__(self, method: CamToMask, net: Net, order: list[int], size: int) -> None:
        self._method, self._net, self._order, self._size = method, net, order, size

    @torch.no_grad()
    def __call__(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, np.ndarray]:
        small, numbers = _reduced(pixels_HWC), [0, *_numbers(masks)]
        if len(numbers) == 1:
            return {"cut": np.zeros(masks.size, np.uint8)}
        square = cv2.resize(pixels_HWC, (self._size, self._size), interpolation=cv2.INTER_AREA)
        logits_2Khw = self._net(self._net.prepare(np.stack([square, square[:, ::-1]]))).float()
        chosen_2Khw = logits_2Khw[:, [self._order[k] for k in numbers]]
        logits_Khw = (chosen_2Khw[0] + chosen_2Khw[1].flip(-1)) / 2
        probs_KHW = resized(logits_Khw[None], small.shape[:2]).softmax(dim=1)[0].cpu().numpy()
        object_HW = 1 - probs_KHW[0]
        places = _Places(probs_KHW[1:], object_HW >= _SURE, object_HW < self._method.background)
        return {name: _enlarged(map_HW, masks) for name, map_HW in places.maps("predicted", small, numbers[1:]).items()}


class _Places(NamedTuple):
    """The evidence for each class of the image, where an object probably is, and where certainly none is."""

    evidence_KHW: np.ndarray
    object_HW: np.ndarray
    outside_HW: np.ndarray

    def maps(self, name: str, pixels_HWC: np.ndarray, numbers: list[int]) -> dict[str, np.ndarray]:
        """The classes of the pixels of the object, by the name of this step, and after the cut."""
        found_HW = cut(pixels_HWC, self.object_HW, self.outside_HW, _CUTS, _CUT_SIDE)
        class_HW = np.array(numbers, np.uint8)[self.evidence_KHW.argmax(axis=0)]
        steps = {name: self.object_HW, "cut": self.object_HW if found_HW is None else found_HW}
        return {step: np.where(inside_HW, class_HW, 0).astype(np.uint8) for step, inside_HW in steps.items()}


def _numbers(masks: Masks) -> list[int]:
    """The classes of the objects in an image."""
    return sorted({shape.class_number for shape in masks.shapes if shape.class_number})


def _reduced(pixels_HWC: np.ndarray) -> np.ndarray:
    shrink = min(1.0, _SIDE / max(pixels_HWC.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in pixels_HWC.shape[:2])
    return cv2.resize(pixels_HWC, (width, height), interpolation=cv2.INTER_AREA)


def _enlarged(map_HW: np.ndarray, masks: Masks) -> np.ndarray:
    return cv2.resize(map_HW, masks.size[::-1], interpolation=cv2.INTER_NEAREST)
