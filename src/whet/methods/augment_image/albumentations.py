from __future__ import annotations

import json
import os
import threading
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.stages import Draws
from whet.core.view import Foreign, ImageView
from whet.methods.augment_image.foreign import Spec, built, library

_MADE = threading.local()


class Albumentations(Method, Draws, family="augment", tasks={"image-classification"}):
    """Run a pipeline of Albumentations on every painted image, as it is written there.

    Use when: one has such a pipeline already, or needs a transform that whet lacks (pip install whet[albumentations]).
    Do not use when: whet has the transform: painted with the others it costs a part.
    Source: Buslaev et al. 2020, arXiv:1809.06839.
    Deviates: its draws are seeded from whet's own for every sample, so that a run repeats itself with any number of threads.
    Shapes: images uint8 (H, W, 3) in and out, of one size.
    """

    identity = {"transforms": ()}
    order = 80

    transforms: Annotated[
        tuple[Spec, ...],
        Field(description="a list of names or {name: {parameter: value}}, as OneOf: {transforms: […]}"),
    ] = ()

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if not self.transforms:
            return view
        pipeline = _Pipeline(json.dumps(self.model_dump(mode="json")["transforms"]))
        return view.transformed(Foreign(pipeline, rng.integers(2**31)))


class _Pipeline:
    """A pipeline keeps a generator of its own, so each thread builds one for itself."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, pixels: np.ndarray, key: int) -> np.ndarray:
        pipelines: dict[str, Any] = _MADE.__dict__.setdefault("pipelines", {})
        if self._text not in pipelines:
            os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # on import it would ask the network for a newer one
            library_ = library("albumentations", "albumentations", "whet[albumentations]")
            base = (library_.BasicTransform, library_.BaseCompose)
            pipelines[self._text] = library_.Compose(built("albumentations", library_, base, json.loads(self._text)))
        pipeline = pipelines[self._text]
        pipeline.set_random_seed(key)
        out = pipeline(image=pixels)["image"]
        if out.shape != pixels.shape or out.dtype != pixels.dtype:
            raise RecipeError(
                f"albumentations: the pipeline must keep size and type; it made {out.dtype} {out.shape} of "
                f"{pixels.dtype} {pixels.shape} (no crop to another size, no Normalize, no ToTensor)"
            )
        return out
