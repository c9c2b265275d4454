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
    """Run transforms of torchvision.transforms.v2 on every painted image, as they are written there.

    Use when: one has such a pipeline already, or needs a transform that whet lacks (pip install whet[torchvision]).
    Do not use when: whet has the transform: painted with the others it costs a part.
    Source: the torchvision project, 2016, https://github.com/pytorch/vision.
    Deviates: image by image in the training thread, as torch has one generator for all threads; seeded from whet's own draws.
    Shapes: images uint8 (3, H, W) in and out, of one size.
    """

    identity = {"transforms": ()}
    order = 81

    transforms: Annotated[tuple[Spec, ...], Field(description="a list of names or {name: {parameter: value}}")] = ()

    def transform_batch(self, images_BCHW: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if not self.transforms:
            return images_BCHW
        painted = []
        for image_CHW, key in zip(images_BCHW, rng.integers(2**31).tolist()):
            with seeded_torch(key):
                for transform in self._built:
                    image_CHW = transform(image_CHW)
            painted.append(image_CHW)
        out = torch.stack(painted)
        if out.shape != images_BCHW.shape or out.dtype != images_BCHW.dtype:
            raise RecipeError(
                f"torchvision_v2: transforms must keep size and type; they made {out.dtype} {tuple(out.shape)}"
            )
        return out

    @cached_property
    def _built(self) -> list[Any]:
        module = library("torchvision_v2", "torchvision.transforms.v2", "whet[torchvision]")
        return built("torchvision_v2", module, module.Transform, self.model_dump(mode="json")["transforms"])
