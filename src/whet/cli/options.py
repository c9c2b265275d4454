"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from whet.core.errors import RecipeError
from whet.core.language import set_language

Json = Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")]
_Language = Annotated[
    str | None,
    typer.Option("--language", help="The language of reports and summaries: en or zh. Default: that of the locale."),
]
InputFileColumn = Annotated[
    str | None,
    typer.Option("--file-column", help="The column of file names, if it differs from that of the run's own data."),
]
InputTextColumn = Annotated[
    str | None,
    typer.Option("--text-column", help="The column of texts, if it differs from that of the run's own data."),
]
Weights = Annotated[
    str | None,
    typer.Option(help="Pretrained weights: a local folder, a hub name, a finished run, or none to train from scratch."),
]
# The names in models/zoo, repeated here so that help needs no torch import; a test checks that they match.
ZOO = (
    "lenet", "alexnet", "vgg16", "resnet9", "resnet9_slim", "resnet18", "mobilenet_v2", "efficientnet_b0",
    "efficientnet_lite0", "convmixer", "convnext_atto", "vit_tiny",
)  # fmt: skip
TEXT_ZOO = ("fast_text", "text_cnn", "text_transformer", "tf_idf")
Architecture = Annotated[
    str | None,
    typer.Option(help=f"{', '.join(ZOO)}; for texts {', '.join(TEXT_ZOO)}; a local folder, or a hub name."),
]
Head = Annotated[
    str | None,
    typer.Option(
        help="What predicts from the features: linear; for masks fpn, lr_aspp, deeplab_v3_plus, unet or own (of a segmenter); for "
        "objects centre_offset or cond_inst."
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option("--task", help="The task, such as semantic-segmentation. Default: what the data suggest."),
]
_TRAINING = "Training settings"
Epochs = Annotated[
    int | None, typer.Option(min=1, help="The number of epochs; the same as --budget Nep.", rich_help_panel=_TRAINING)
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Samples per step.", rich_help_panel=_TRAINING)]
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="The learning rate of the recipe's optimizer.", rich_help_panel=_TRAINING)
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        help="The image size in pixels, or a percentage of the pretrained size, such as 85%.", rich_help_panel=_TRAINING
    ),
]
Device = Annotated[str | None, typer.Option(help="The device: auto, cpu or cuda.", rich_help_panel=_TRAINING)]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite the output of an earlier call. Inputs are never overwritten.")
]
Out = Annotated[Path | None, typer.Option(help="The output folder. Default: the next free name in runs/.")]
Ray = Annotated[
    str | None, typer.Option(help="Train the runs on a Ray cluster: auto, HOST:PORT, or local. Requires whet[ray].")
]
METRICS_HELP = (
    "accuracy (default), macro_f1, worst_class, log_loss or calibration_error; for multi-label data also hamming_accuracy, "
    "micro_f1 or mean_average_precision; for masks mean_iou (default), dice, worst_class, pixel_accuracy or boundary_f."
)


def budget_of(budget: str | None, epochs: int | None) -> str | None:
    """Return --budget, or --epochs converted to a budget. Raise RecipeError if both are given."""
    if budget is not None and epochs is not None:
        raise RecipeError(f"--epochs {epochs} and --budget {budget} both set the length of training; give only one")
    return f"{epochs}ep" if epochs is not None else budget


DATA = (
    "A folder with one subfolder per class (images, audio, .txt files), a folder with train/ val/ test/ folders or tables, "
    "a table: .csv, .tsv, .jsonl or .parquet; or images with masks: COCO .json, images/ with masks/, YOLO, VOC, labelme, CVAT."
)

# --- how data are read --------------------------------------------------------------------------------------------------
Reading = dict[str, Any]
"""The `DataSpec` values that were set by options on how to read the data; options that were not given are absent."""

_PANEL = "How the data are read"


def _named(help_: str) -> Any:
    return Annotated[str | None, typer.Option(help=help_, rich_help_panel=_PANEL)]


Unlabelled = Annotated[
    str | None,
    typer.Option(
        help="Further samples without a label: a folder, a table, or rows, for the samples of the data that have no label.",
        rich_help_panel=_PANEL,
    ),
]

_READING: dict[str, Any] = {
    "split_files": Annotated[
        list[str] | None,
        typer.Option(
            "--split-file",
            help="A list of the files in one split: train=FILE, a FILE named …train.txt, a pattern with {train,val,test}, "
            "or a table with file and split columns. Can be repeated.",
            rich_help_panel=_PANEL,
        ),
    ],
    "files_root": _named("The folder that file names in a table are relative to. Default: the table's folder."),
    "class_folder": _named("The folder level that names the classes if class folders are nested: outer or inner."),
    "file_column": _named("The column of file names, if it has no usual name."),
    "text_column": _named("The column of texts, if it has no usual name."),
    "label_column": _named("The column of labels, if it has no usual name."),
    "label_columns": _named("The 0/1 columns, one per class, of multi-label data: a,b,c."),
    "label_separator": _named("The separator between the labels in one cell of multi-label data: '|'."),
    "split_column": _named("The column with train, val and test, if it is not called split."),
    "group_column": _named("The column of groups (speaker, patient, site); a group is never divided between splits."),
    "weight_column": _named("The column of sample weights for training."),
    "mask_format": _named("The format of masks: coco, pairs, yolo, voc, labelme or cvat."),
    "mask_template": _named("The mask of an image, below the data: masks/{folder}/{stem}_mask.png."),
    "mask_classes": _named("The names of the classes in mask files, by number: background,can,glass."),
    "mask_ignore": Annotated[
        int | None,
        typer.Option(
            help="The number in mask files of pixels that do not count. Default: 255.", rich_help_panel=_PANEL
        ),
    ],
    "mask_supervision": _named(
        "How much of the training masks is used: masks, boxes, points or labels, to measure what a weaker annotation would cost."
    ),
    "mask_frame": _named("Whether masks of images with an EXIF orientation mean the upright or the stored image."),
}
_OF_MASKS = "mask_"  # the beginning of the keys of `DataSpec.masks`


def option_of(key: str) -> str:
    """Return the option that sets this key of a Reading."""
    return {"split_files": "--split-file", "masks": "--mask-…"}.get(key, "--" + key.replace("_", "-"))


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the keyword argument `reading` of a command by the options on how to read the data. The command receives their
    values in `reading`."""

    def wrapper(*own: Any, **given: Any) -> None:
        reading = {key: value for key in _READING if (value := given.pop(key, None)) is not None}
        for key in {"label_columns", "mask_classes"} & reading.keys():
            reading[key] = tuple(name.strip() for name in reading[key].split(",") if name.strip())
        if "split_files" in reading:
            reading["split_files"] = tuple(reading["split_files"])
        of_masks = {key: reading.pop(key) for key in tuple(reading) if key.startswith(_OF_MASKS)}
        if of_masks:
            reading["masks"] = {key.removeprefix(_OF_MASKS): value for key, value in of_masks.items()}
        command(*own, **given, reading=reading)

    parameters = []
    for parameter in _parameters(command):
        parameters += (
            [_option(key, hint) for key, hint in _READING.items()] if parameter.name == "reading" else [parameter]
        )
    return _presented(wrapper, command, parameters)


def speaks(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option --language to a command, and run it in that language."""

    def wrapper(*own: Any, language: str | None, **given: Any) -> None:
        set_language(language)
        command(*own, **given)

    return _presented(wrapper, command, [*_parameters(command), _option("language", _Language)])


def _option(key: str, hint: Any) -> inspect.Parameter:
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    hints = get_type_hints(command, include_extras=True)
    return [one.replace(annotation=hints[name]) for name, one in inspect.signature(command).parameters.items()]


def _presented(
    wrapper: Callable[..., None], command: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """The wrapper with the name and the help of the command and with these parameters."""
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper
