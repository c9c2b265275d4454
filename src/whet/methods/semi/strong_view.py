"""The two views of unlabelled samples: weak, the recipe's own augmentation, and strong, with further methods."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from whet.core.errors import RecipeError
from whet.core.mask_task import predicts_masks
from whet.core.method import Method, Unlabelled
from whet.core.recipe import parse_method
from whet.core.search import Search
from whet.core.stages import Draws, TransformsBatch
from whet.core.task import problems
from whet.methods.augment_audio.spec_augment import SpecAugment
from whet.methods.augment_audio.time_shift import TimeShift
from whet.methods.augment_image.color_jitter import ColorJitter
from whet.methods.augment_image.cutout import Cutout
from whet.methods.augment_image.gaussian_blur import GaussianBlur
from whet.methods.augment_image.grayscale import Grayscale
from whet.methods.augment_image.rand_augment import RandAugment
from whet.methods.augment_text.random_deletion import RandomDeletion
from whet.methods.augment_text.random_swap import RandomSwap
from whet.methods.augment_text.token_mask import TokenMask

WEAK, STRONG = "weak", "strong"

_DEFAULTS: dict[str, tuple[Method, ...]] = {
    "image": (RandAugment(), Cutout()),
    "text": (RandomDeletion(), RandomSwap(), TokenMask()),
    "audio": (SpecAugment(), TimeShift()),
}
_FOR_MASKS: tuple[Method, ...] = (ColorJitter(), GaussianBlur(), Grayscale())


def _parsed(given: Any) -> Any:
    """A list of methods, each written as in a recipe."""
    if given is None:
        return None
    if not isinstance(given, list | tuple):
        raise ValueError(
            f"a list of methods is needed, such as [color_jitter, {{cutout: {{side: 0.4}}}}]; got {given!r}"
        )
    try:
        methods = tuple(parse_method(entry) for entry in given)
    except RecipeError as error:
        raise ValueError(str(error)) from None
    for method in methods:
        if not isinstance(method, Draws | TransformsBatch):
            raise ValueError(f"'{method.name}' does not change single samples; accepted: methods of the stage sample")
    return methods


def _written(methods: tuple[Method, ...] | None) -> list[dict[str, Any]] | None:
    return None if methods is None else [{method.name: method.settings_dict()} for method in methods]


Ratio = Annotated[
    float,
    Field(gt=0, le=16, description="unlabelled samples for each labelled sample of a batch (mu); 7 in the FixMatch paper"),
    Search(1.0, 4.0),
]  # fmt: skip
Strong = Annotated[
    tuple[Method, ...] | None,
    BeforeValidator(_parsed),
    PlainSerializer(_written),
    Field(
        description="methods that the strong view adds to the recipe's augmentation; none: rand_augment and cutout for images, "
        "random_deletion, random_swap and token_mask for texts, spec_augment and time_shift for audio, color_jitter, "
        "gaussian_blur and grayscale for masks"
    ),
]


def weak_and_strong(
    problem: str, ratio: float, strong: tuple[Method, ...] | None, predicted: tuple[str, ...] = (WEAK,)
) -> Unlabelled:
    """Both views for a recipe of this task: the network is trained on the strong one. predicted: the views that it predicts in
    addition. For masks both views show the same part of the image, so that predictions of the weak view fit the pixels of the
    strong one. RecipeError for a method that does not apply to the task."""
    masks = predicts_masks(problem)
    methods = (_FOR_MASKS if masks else _DEFAULTS[problems()[problem]]) if strong is None else strong
    for method in methods:
        if problem not in method.tasks:
            raise RecipeError(
                f"strong: method '{method.name}' is for {', '.join(sorted(method.tasks))}, not for {problem}"
            )
    return Unlabelled(ratio, {WEAK: (), STRONG: methods}, trained=(STRONG,), predicted=predicted, aligned=masks)
