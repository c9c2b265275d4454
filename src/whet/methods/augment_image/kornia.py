from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng, seeded_torch
from whet.core.stages import TransformsBatch
from whet.methods.augment_image.foreign import Spec, built, library


class Kornia(Method, TransformsBatch, family="augment", tasks={"image-classification"}):
    """Apply augmentations of kornia to the rendered batch on the device.

    Use when: a kornia pipeline already exists, or whet lacks an augmentation (pip install whet[kornia]).
    Do not use when: whet has the augmentation. Rendering it together with the others is cheaper.
    Source: Riba et al. 2020, arXiv:1910.02190.
    Deviates: kornia draws once for the whole batch. The seed is drawn for the first sample. The result is reproducible for the
    same batch, but not for a sample in another batch.
    Shapes: images uint8 (B, 3, H, W) in and out, of the same size; floats in 0 … 1 inside.
    """

    identity = {"transforms": ()}
    order = 82

    transforms: Annotated[tuple[Spec, ...], Field(description="list of names or {name: {parameter: value}}")] = ()

    def transform_batch(self, images_BCHW: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if not self.transforms or not len(images_BCHW):
            return images_BCHW
        x_BCHW = images_BCHW.float() / 255
        with seeded_torch(int(rng.integers(2**31)[0]), x_BCHW.device):
            for transform in self._built:
                x_BCHW = transform(x_BCHW)
        if x_BCHW.shape != images_BCHW.shape:
            raise RecipeError(f"kornia: augmentations must keep the size; they returned {tuple(x_BCHW.shape)}")
        return (x_BCHW * 255).round().clamp(0, 255).to(torch.uint8)

    @cached_property
    def _built(self) -> list[Any]:
        module = library("kornia", "kornia.augmentation", "whet[kornia]")
        return built("kornia", module, module.AugmentationBase2D, self.model_dump(mode="json")["transforms"])
