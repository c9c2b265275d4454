"""The parts of a recipe: where the data are, which model, and how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from whet.core.duration import Duration
from whet.core.errors import RecipeError
from whet.core.strict import Strict

Auto = Literal["auto"]


def _share(text: str) -> str:
    if text.endswith("%") and text[:-1].isdecimal() and 25 <= int(text[:-1]) <= 400:
        return text
    raise ValueError("a share of the native size is written as 25% to 400%")


Size = Annotated[int, Field(ge=8, le=4096)] | Auto | Annotated[str, AfterValidator(_share)]
"""Pixels of a side, or a share ("115%") of the size the weights were trained with."""


class DataSpec(Strict):
    """Where the samples come from and how they are split. Fractions are of all samples (or of train, where only one is missing)."""

    path: str | None = None
    files_root: Annotated[
        str | None, Field(description="the folder that a table's files are named from; else the table's own")
    ] = None
    class_folder: Annotated[
        Literal["outer", "inner"] | None,
        Field(
            description="where class folders hold folders: which of them name the classes; the outer ones are then groups"
        ),
    ] = None
    file_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_columns: Annotated[
        tuple[str, ...] | None,
        Field(min_length=2, description="columns of 0 and 1, one a class, where a sample may have several"),
    ] = None
    label_separator: Annotated[
        str | None, Field(min_length=1, description="between the labels in a cell, where a sample may have several")
    ] = None
    split_column: str | None = None
    group_column: Annotated[
        str | None, Field(description="samples with the same cell, as of one speaker, are never in two parts")
    ] = None
    weight_column: Annotated[str | None, Field(description="how much a sample counts in training")] = None
    split_files: tuple[str, ...] = ()
    fold: Annotated[
        str | None,
        BeforeValidator(lambda fold: fold if fold is None else str(fold)),  # most are written as numbers
        Field(description="the fold that is the test part, where a table has a column fold"),
    ] = None
    val_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, lt=0.9)] = 0.15
    split_seed: Annotated[int, Field(ge=0)] = 0
    evaluate_test: Annotated[
        bool, Field(description="whether the test samples are answered; a study leaves them alone until its end")
    ] = True

    @classmethod
    def label(cls) -> str:
        return "data"

    def model_post_init(self, context: Any) -> None:
        if self.label_columns is None:
            return
        beside = [key for key in ("label_column", "label_separator") if getattr(self, key) is not None]
        if beside:
            raise RecipeError(f"data.label_columns stands in the place of data.{beside[0]}; give one of them")
        twice = next((name for name in self.label_columns if self.label_columns.count(name) > 1), None)
        if twice is not None:
            raise RecipeError(f"data.label_columns names '{twice}' twice; give each column once")

    @classmethod
    def of(cls, data: str | Path | DataSpec) -> DataSpec:
        """A folder or table as it is, or a spec that says how it is read."""
        return data if isinstance(data, DataSpec) else cls(path=str(data))

    def over(self, base: DataSpec) -> DataSpec:
        """`base` with the values that differ from the defaults here."""
        return base.replace(**{key: value for key, value in self if value != type(self).model_fields[key].default})

    @property
    def several_labels(self) -> bool:
        """Whether this says that a sample may have several labels; a table of lists says so itself."""
        return self.label_columns is not None or self.label_separator is not None


class ModelSpec(Strict):
    """architecture: a zoo name (resnet9, vgg16), a local folder, or a hub name. weights: a local folder, a hub name, or
    `none` for random weights on purpose; `auto` takes those of the architecture."""

    architecture: str = "auto"
    weights: str = "auto"

    @classmethod
    def label(cls) -> str:
        return "model"


class TrainSpec(Strict):
    """Training settings. Every `auto` but that of `store`, which each start decides anew, is resolved once and written into the
    run's own recipe. How many steps a budget comes to belongs to the state of a training (`whet.training.loop.State`)."""

    not_settings: ClassVar[dict[str, str]] = {
        key: f"the length of a training is its budget; use budget: {{value}}{unit}"
        for key, unit in (("epochs", "ep"), ("steps", "st"), ("seconds", "s"), ("minutes", "m"))
    }

    budget: Annotated[Duration, AfterValidator(Duration.parse_budget)] = Duration(20, "ep")
    max_epochs: Annotated[
        int | None,
        Field(ge=1, description="a budget in minutes is filled with so many at most, where more would not help"),
    ] = None
    seed: Annotated[int, Field(ge=0)] = 0
    batch_size: Annotated[int, Field(ge=1)] | Auto = "auto"
    image_size: Size = "auto"
    eval_size: Annotated[Size, Field(description="image size at prediction")] = "auto"
    fit: Literal["squash", "crop"] = "squash"
    max_tokens: Annotated[int, Field(ge=4, le=8192, description="a longer text is cut")] | Auto = "auto"
    clip_seconds: (
        Annotated[float, Field(gt=0, le=600, description="how much of an audio clip is heard at once")] | Auto
    ) = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    torch_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    loader_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    store: Annotated[
        Literal["auto", "memory", "disk", "off"],
        Field(description="where decoded training images are kept; no setting changes a result"),
    ] = "auto"
    store_share: Annotated[
        float, Field(gt=0, le=0.9, description="the most of free memory or disk to keep them in")
    ] = 0.1
    validate_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    checkpoint_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2

    @classmethod
    def label(cls) -> str:
        return "train"
