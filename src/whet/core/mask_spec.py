"""How masks are read, where the data do not say it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.core.strict import Strict

Colour = tuple[
    Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
]


Supervision = Literal["masks", "boxes", "points", "labels"]


class MaskSpec(Strict):
    """Everything is found out from the data by default."""

    format: Literal["coco", "pairs", "yolo", "voc", "labelme", "cvat"] | None = None
    template: Annotated[
        str | None,
        Field(description="the mask of an image: a path below the data, such as masks/{folder}/{stem}_mask.png"),
    ] = None
    objects: Annotated[
        bool | None,
        Field(description="whether the numbers of a mask file are objects (true) or classes (false)"),
    ] = None
    classes: Annotated[
        tuple[str, ...] | None, Field(min_length=1, description="the names of the classes in mask files, by number")
    ] = None
    colours: Annotated[
        dict[str, Colour] | None, Field(description="the colour of each class in RGB masks: {name: [r, g, b]}")
    ] = None
    ignore: Annotated[
        int | None, Field(ge=0, le=65535, description="the number in mask files of pixels that do not count")
    ] = 255
    frame: Annotated[
        Literal["upright", "stored"] | None,
        Field(description="whether masks of images with an EXIF orientation mean the upright image, or the stored one"),
    ] = None
    supervision: Annotated[
        Supervision,
        Field(
            description="how much of the training masks is used: only the box of each object, a point in each, or the classes of "
            "the image, to measure what a weaker annotation would cost; validation and test masks stay whole"
        ),
    ] = "masks"

    @classmethod
    def label(cls) -> str:
        return "data.masks"
