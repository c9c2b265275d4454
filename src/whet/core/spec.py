"""The parts of a recipe: data, model and training settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from whet.core.duration import Duration
from whet.core.errors import RecipeError
from whet.core.mask_spec import MaskSpec
from whet.core.strict import Strict

Auto = Literal["auto"]
ROWS = "rows"
"""The value of `DataSpec.unlabelled` for the samples of the data that have no label."""


def _share(text: str) -> str:
    if text.endswith("%") and text[:-1].isdecimal() and 25 <= int(text[:-1]) <= 400:
        return text
    raise ValueError("a share of the native size is written as 25% to 400%")


Size = Annotated[int, Field(ge=8, le=4096)] | Auto | Annotated[str, AfterValidator(_share)]
"""Pixels of a side, or a percentage ("115%") of the size that the weights were trained with."""


class DataSpec(Strict):
    """Where the samples come from and how they are split. Fractions are of all samples (or of train, where only one split is
    missing)."""

    path: str | None = None
    files_root: Annotated[
        str | None,
        Field(description="the folder that a table's file names are relative to; by default the table's own"),
    ] = None
    class_folder: Annotated[
        Literal["outer", "inner"] | None,
        Field(
            description="for nested class folders: which level names the classes; with inner, the outer folders are groups"
        ),
    ] = None
    file_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_columns: Annotated[
        tuple[str, ...] | None,
        Field(min_length=2, description="columns of 0 and 1, one per class, for multi-label data"),
    ] = None
    label_separator: Annotated[
        str | None, Field(min_length=1, description="separator between the labels in a cell, for multi-label data")
    ] = None
    split_column: str | None = None
    group_column: Annotated[
        str | None, Field(description="samples with the same value, such as one speaker, are never in two splits")
    ] = None
    weight_column: Annotated[str | None, Field(description="weight of a sample in training")] = None
    split_files: tuple[str, ...] = ()
    unlabelled: Annotated[
        str | None,
        Field(
            min_length=1,
            description="further samples without a label: a folder or a table, or `rows`: the samples of the data itself that "
            "have no label, which are otherwise left out. Used by methods that learn from unlabelled samples",
        ),
    ] = None
    fold: Annotated[
        str | None,
        BeforeValidator(lambda fold: fold if fold is None else str(fold)),  # usually written as a number
        Field(description="the fold used as the test split, where a table has a column fold"),
    ] = None
    masks: Annotated[MaskSpec, Field(description="how masks are read, for segmentation")] = MaskSpec()
    val_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, lt=0.9)] = 0.15
    split_seed: Annotated[int, Field(ge=0)] = 0
    evaluate_test: Annotated[
        bool, Field(description="whether to evaluate on the test samples; a study does so only at its end")
    ] = True

    @classmethod
    def label(cls) -> str:
        return "data"

    def model_post_init(self, context: Any) -> None:
        if self.label_columns is None:
            return
        beside = [key for key in ("label_column", "label_separator") if getattr(self, key) is not None]
        if beside:
            raise RecipeError(f"data.label_columns replaces data.{beside[0]}; give only one of them")
        twice = next((name for name in self.label_columns if self.label_columns.count(name) > 1), None)
        if twice is not None:
            raise RecipeError(f"data.label_columns names '{twice}' twice; give each column once")

    @classmethod
    def of(cls, data: str | Path | DataSpec) -> DataSpec:
        """A folder or table with default settings, or a given spec unchanged."""
        return data if isinstance(data, DataSpec) else cls(path=str(data))

    def over(self, base: DataSpec) -> DataSpec:
        """`base`, with the values that differ from the defaults here."""
        return base.replace(**{key: value for key, value in self if value != type(self).model_fields[key].default})

    @property
    def sources(self) -> list[str | None]:
        """The paths of the data: that of the labelled samples, and that of the unlabelled ones if they are elsewhere."""
        return [self.path] if self.unlabelled in (None, ROWS) else [self.path, self.unlabelled]

    @property
    def several_labels(self) -> bool:
        """Whether these settings declare several labels per sample. A table with lists of labels needs no setting."""
        return self.label_columns is not None or self.label_separator is not None


class ModelSpec(Strict):
    """architecture: a zoo name (resnet9, vgg16), a local folder, or a hub name. weights: a local folder, a hub name, or
    `none` for random weights on purpose; `auto` takes those of the architecture."""

    architecture: str = "auto"
    weights: str = "auto"
    head: Annotated[
        str,
        Field(
            description="what predicts from the features: linear; for segmentation fpn, lr_aspp, deeplab_v3_plus, unet, or own, "
            "the decoder of a segmenter of transformers; for objects centre_offset, cond_inst; auto takes own where there is one, "
            "otherwise the first that fits the task"
        ),
    ] = "auto"

    @classmethod
    def label(cls) -> str:
        return "model"


class TrainSpec(Strict):
    """Training settings. Every `auto` is resolved once and written into the run's own recipe, except `store`, which is resolved at
    each start. The number of steps of a budget is part of the training state (`whet.training.loop.State`)."""

    not_settings: ClassVar[dict[str, str]] = {
        key: f"the training length is set by budget; use budget: {{value}}{unit}"
        for key, unit in (("epochs", "ep"), ("steps", "st"), ("seconds", "s"), ("minutes", "m"))
    }

    budget: Annotated[Duration, AfterValidator(Duration.parse_budget)] = Duration(20, "ep")
    max_epochs: Annotated[
        int | None,
        Field(ge=1, description="maximum number of epochs for a budget in minutes"),
    ] = None
    seed: Annotated[int, Field(ge=0)] = 0
    batch_size: Annotated[int, Field(ge=1)] | Auto = "auto"
    image_size: Size = "auto"
    eval_size: Annotated[Size, Field(description="image size at prediction")] = "auto"
    fit: Literal["squash", "crop"] = "squash"
    max_tokens: Annotated[int, Field(ge=4, le=8192, description="longer texts are truncated")] | Auto = "auto"
    clip_seconds: (
        Annotated[float, Field(gt=0, le=600, description="length of an audio clip as network input, in seconds")] | Auto
    ) = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    torch_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    loader_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    store: Annotated[
        Literal["auto", "memory", "disk", "off"],
        Field(description="where decoded training images are cached; does not change the result"),
    ] = "auto"
    store_share: Annotated[
        float, Field(gt=0, le=0.9, description="maximum share of free memory or disk for this cache")
    ] = 0.1
    validate_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    checkpoint_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2

    @classmethod
    def label(cls) -> str:
        return "train"
