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

_THREAD_LOCAL = threading.local()


class Albumentations(Method, Draws, family="augment", tasks={"image-classification"}):
    """Apply a pipeline of Albumentations transforms to every rendered image.

    Use when: an Albumentations pipeline already exists, or whet lacks a transform (pip install whet[albumentations]).
    Do not use when: whet has the transform. Rendering it together with the others is cheaper.
    Source: Buslaev et al. 2020, arXiv:1809.06839.
    Deviates: random draws are seeded per sample from whet's generator, so that a run is reproducible with any number of threads.
    Shapes: images uint8 (H, W, 3) in and out, of the same size.
    """

    identity = {"transforms": ()}
    order = 80

    transforms: Annotated[
        tuple[Spec, ...],
        Field(description="list of names or {name: {parameter: value}}, for example {OneOf: {transforms: […]}}"),
    ] = ()

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if not self.transforms:
            return view
        pipeline = _Pipeline(json.dumps(self.model_dump(mode="json")["transforms"]))
        return view.transformed(Foreign(pipeline, rng.integers(2**31)))


class _Pipeline:
    """A pipeline has its own random generator, so each thread builds its own pipeline."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, pixels: np.ndarray, key: int) -> np.ndarray:
        pipelines: dict[str, Any] = _THREAD_LOCAL.__dict__.setdefault("pipelines", {})
        if self._text not in pipelines:
            # Disable the version check on import, which uses the network.
            os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
            library_ = library("albumentations", "albumentations", "whet[albumentations]")
            base = (library_.BasicTransform, library_.BaseCompose)
            pipelines[self._text] = library_.Compose(built("albumentations", library_, base, json.loads(self._text)))
        pipeline = pipelines[self._text]
        pipeline.set_random_seed(key)
        out = pipeline(image=pixels)["image"]
        if out.shape != pixels.shape or out.dtype != pixels.dtype:
            raise RecipeError(
                f"albumentations: the pipeline must keep size and type; it returned {out.dtype} {out.shape} for "
                f"{pixels.dtype} {pixels.shape} (do not crop to another size, Normalize or ToTensor)"
            )
        return out
