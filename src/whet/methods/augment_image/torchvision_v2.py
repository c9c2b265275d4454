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


class TorchvisionV2(Method, TransformsBatch, name="torchvision_v2", family="augment", tasks={"image-classification"}):
    """Apply transforms of torchvision.transforms.v2 to every rendered image.

    Use when: a torchvision pipeline already exists, or whet lacks a transform (pip install whet[torchvision]).
    Do not use when: whet has the transform. Rendering it together with the others is cheaper.
    Source: the torchvision project, 2016, https://github.com/pytorch/vision.
    Deviates: images are transformed one by one in the training thread, because torch has one generator for all threads. Seeds come
    from whet's generator.
    Shapes: images uint8 (3, H, W) in and out, of the same size.
    """

    identity = {"transforms": ()}
    order = 81

    transforms: Annotated[tuple[Spec, ...], Field(description="list of names or {name: {parameter: value}}")] = ()

    def transform_batch(self, images_BCHW: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if not self.transforms:
            return images_BCHW
        transformed = []
        for image_CHW, key in zip(images_BCHW, rng.integers(2**31).tolist()):
            with seeded_torch(key):
                for transform in self._built:
                    image_CHW = transform(image_CHW)
            transformed.append(image_CHW)
        out = torch.stack(transformed)
        if out.shape != images_BCHW.shape or out.dtype != images_BCHW.dtype:
            raise RecipeError(
                f"torchvision_v2: transforms must keep size and type; they returned {out.dtype} {tuple(out.shape)}"
            )
        return out

    @cached_property
    def _built(self) -> list[Any]:
        module = library("torchvision_v2", "torchvision.transforms.v2", "whet[torchvision]")
        return built("torchvision_v2", module, module.Transform, self.model_dump(mode="json")["transforms"])
