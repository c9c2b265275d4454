from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import cv2
import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from whet.core.errors import NoEffectError
from whet.core.masks import IGNORE, Kind, Masks
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.search import Search
from whet.core.stages import Follows, MakesMasks, MaskMaker
from whet.core.task import allowed
from whet.methods.ensemble.members import member_recipe
from whet.methods.weak.cam import Activations, as_tensor
from whet.methods.weak.pamr import refine
from whet.models.build import load_net
from whet.models.decoders import resized
from whet.models.net import Net

_CLASSIFIER = "image-classification"
_SIDE = 320  # pixels of the longer side: masks are refined in this size
_SURE = 0.5  # least refined probability of a pixel that a trained network labels


class CamToMask(Method, MakesMasks, Follows, family="weak", tasks={"semantic-segmentation"}):
    """From the classes of images to masks: train a classifier, look where it finds the classes, refine, and train on the result.

    Use when: only the classes of images are known, and drawing is too slow. A few images must have masks, to validate and test on.
    Do not use when: a class always occurs with the same surroundings (fish and water), or boxes can be drawn: they are much better.
    Source: Zhou et al. 2016, arXiv:1512.04150 (activation maps); Araslanov, Roth 2020, arXiv:2005.08104 (PAMR, section 4.2).
    Deviates: the activation maps of a separate classifier, in place of one network for both. Thresholds are fixed, not fitted.
    Shapes: the classifier has the same backbone, and the labels that occur in each image. Its maps at the `scales` of its own size
    and mirrored are added, classes that the image does not have are left out, and PAMR refines them. Pixels above `object` have the
    class, those below `background` in all classes are background, others are ignored. In each further round, the masks are those
    that the network of the round before predicts, with the same refinement. All trainings share a budget in minutes equally.
    """

    exceptions = {"identity": "it has no strength; without classes of images it changes nothing"}
    conflicts = frozenset({"label_fill"})
    makes_of: ClassVar[frozenset[Kind]] = frozenset({"label"})

    foreground: Annotated[
        float, Field(gt=0, le=1, description="evidence, 0 to 1, from which a pixel has the class"), Search(0.2, 0.6)
    ] = 0.35
    background: Annotated[
        float, Field(ge=0, lt=1, description="evidence below which a pixel is background"), Search(0.05, 0.3)
    ] = 0.10
    scales: Annotated[
        tuple[float, ...], Field(min_length=1, description="image sizes at which the classifier looks, times its own")
    ] = (1.0, 1.5, 2.0)
    rounds: Annotated[
        int,
        Field(ge=0, le=3, description="further trainings, each on the masks predicted by the one before"),
        Search(0, 2),
    ] = 1

    _before: str = PrivateAttr("")

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        before = member_recipe(recipe, self.name, 1, self.rounds + 2, shares=self.rounds + 1)
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
            return _OfClassifier(self, Activations(before), order, size, net.device)
        return _OfSegmenter(before.eval(), order, size)


class _OfClassifier:
    """The masks of the first round."""

    def __init__(self, method: CamToMask, maps: Activations, order: list[int], size: int, device: torch.device) -> None:
        self._method, self._maps, self._order, self._device = method, maps, order, device
        self._sizes = [max(32, round(size * scale / 32) * 32) for scale in method.scales]
        self._lock = threading.Lock()

    def __call__(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, np.ndarray]:
        small, numbers = _reduced(pixels_HWC), _numbers(masks)
        with self._lock:
            places = [self._order[k] for k in numbers]
            seed_KHW = self._maps.of(pixels_HWC, places, self._sizes, small.shape[:2])
        refined_KHW = refine(seed_KHW[None], as_tensor(small, self._device))[0]
        steps = {"seed": seed_KHW, "refined": refined_KHW / refined_KHW.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)}
        return {name: _enlarged(self._labelled(map_KHW, numbers), masks) for name, map_KHW in steps.items()}

    def _labelled(self, evidence_KHW: Tensor, numbers: list[int]) -> np.ndarray:
        best_HW, place_HW = evidence_KHW.max(dim=0)
        found_HW = torch.tensor(numbers, device=best_HW.device)[place_HW]
        found_HW[best_HW < self._method.foreground] = IGNORE
        found_HW[best_HW < self._method.background] = 0
        return found_HW.to(torch.uint8).cpu().numpy()


class _OfSegmenter:
    """The masks of further rounds: the classes of the image that a trained network finds."""

    def __init__(self, net: Net, order: list[int], size: int) -> None:
        self._net, self._order, self._size = net, order, size

    @torch.no_grad()
    def __call__(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, np.ndarray]:
        small, numbers = _reduced(pixels_HWC), [0, *_numbers(masks)]
        square = cv2.resize(pixels_HWC, (self._size, self._size), interpolation=cv2.INTER_AREA)
        logits_2Khw = self._net(self._net.prepare(np.stack([square, square[:, ::-1]]))).float()
        chosen_2Khw = logits_2Khw[:, [self._order[k] for k in numbers]]
        logits_Khw = (chosen_2Khw[0] + chosen_2Khw[1].flip(-1)) / 2
        probs_1KHW = resized(logits_Khw[None], small.shape[:2]).softmax(dim=1)
        refined_1KHW = refine(probs_1KHW, as_tensor(small, self._net.device))
        return {
            name: _enlarged(_surest(map_KHW, numbers), masks)
            for name, map_KHW in (("predicted", probs_1KHW[0]), ("refined", refined_1KHW[0]))
        }


def _surest(probs_KHW: Tensor, numbers: list[int]) -> np.ndarray:
    best_HW, place_HW = probs_KHW.max(dim=0)
    found_HW = torch.tensor(numbers, device=best_HW.device)[place_HW]
    found_HW[best_HW < _SURE] = IGNORE
    return found_HW.to(torch.uint8).cpu().numpy()


def _numbers(masks: Masks) -> list[int]:
    """The classes of the objects in an image."""
    return sorted({shape.class_number for shape in masks.shapes if shape.class_number})


def _reduced(pixels_HWC: np.ndarray) -> np.ndarray:
    shrink = min(1.0, _SIDE / max(pixels_HWC.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in pixels_HWC.shape[:2])
    return cv2.resize(pixels_HWC, (width, height), interpolation=cv2.INTER_AREA)


def _enlarged(map_HW: np.ndarray, masks: Masks) -> np.ndarray:
    return cv2.resize(map_HW, masks.size[::-1], interpolation=cv2.INTER_NEAREST)
