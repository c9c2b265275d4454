"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from whet.cli import complete
from whet.core.errors import RecipeError
from whet.core.language import set_language

# The panels of --help.
METHODS, MODEL, TRAINING, OUTPUT, READING = "Methods", "Model", "Training", "Output", "How the data are read"

# --- output -------------------------------------------------------------------------------------------------------------
Json = Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.", rich_help_panel=OUTPUT)]
_Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="LANGUAGE", help="Of reports and summaries: en or zh. Default: that of the locale.",
        rich_help_panel=OUTPUT, autocompletion=complete.languages,
    ),
]  # fmt: skip
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Overwrite the output of an earlier call. Inputs are never overwritten.", rich_help_panel=OUTPUT
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The output folder. Default: the next free name in runs/.", rich_help_panel=OUTPUT),
]  # fmt: skip

# --- methods ------------------------------------------------------------------------------------------------------------
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="RECIPE", help="A recipe file or a shipped recipe; see whet methods --recipes.",
        rich_help_panel=METHODS, autocompletion=complete.recipes,
    ),
]  # fmt: skip
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with", metavar="METHOD", help="Add a method to the recipe. Repeatable.", rich_help_panel=METHODS,
        autocompletion=complete.methods,
    ),
]  # fmt: skip
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without", metavar="METHOD", help="Remove a method from the recipe. Repeatable.", rich_help_panel=METHODS,
        autocompletion=complete.methods,
    ),
]  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a setting: train.precision=fp32, mixup.alpha=0.4, …", rich_help_panel=METHODS,
        autocompletion=complete.settings,
    ),
]  # fmt: skip

# --- the model ----------------------------------------------------------------------------------------------------------
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS", help="A local folder, a hub name, or a finished run to start from; or none.",
        rich_help_panel=MODEL, autocompletion=complete.weights,
    ),
]  # fmt: skip
# The names in models/zoo, repeated here so that help needs no torch import; a test checks that they match.
ZOO = (
    "lenet", "alexnet", "vgg16", "resnet9", "resnet9_slim", "resnet18", "mobilenet_v2", "efficientnet_b0",
    "efficientnet_lite0", "convmixer", "convnext_atto", "vit_tiny",
)  # fmt: skip
TEXT_ZOO = ("fast_text", "text_cnn", "text_transformer", "tf_idf")
Architecture = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"{', '.join(ZOO)}; for texts {', '.join(TEXT_ZOO)}; a local folder, or a hub name.",
        rich_help_panel=MODEL, autocompletion=complete.networks,
    ),
]  # fmt: skip
Head = Annotated[
    str | None,
    typer.Option(
        metavar="HEAD", rich_help_panel=MODEL,
        help="linear; for masks fpn, lr_aspp, deeplab_v3_plus, unet or own (of a segmenter); for objects centre_offset or "
        "cond_inst.",
    ),
]  # fmt: skip
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="TASK", help="Such as semantic-segmentation. Default: what the data suggest.",
        rich_help_panel=MODEL,
    ),
]  # fmt: skip

# --- training -----------------------------------------------------------------------------------------------------------
METRICS_HELP = "accuracy, macro_f1, worst_class, log_loss, …; for masks mean_iou, dice, …"
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="BUDGET", help="The length of training: 10m, 1h (total time), 20ep or 500st.", rich_help_panel=TRAINING
    ),
]
TotalBudget = Annotated[
    str | None,
    typer.Option(
        metavar="BUDGET", help="The total time (20m, 1h), or the length of each run (20ep, 500st).", rich_help_panel=TRAINING
    ),
]  # fmt: skip
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC", help=f"What decides: {METRICS_HELP}", rich_help_panel=TRAINING,
        autocompletion=complete.metrics,
    ),
]  # fmt: skip
Seed = Annotated[int | None, typer.Option(metavar="N", help="The random seed.", rich_help_panel=TRAINING)]
ImageSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="The image size: pixels, or a percentage of the pretrained size (85%).", rich_help_panel=TRAINING
    ),
]  # fmt: skip
Jobs = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Parallel runs, each in its own process.", rich_help_panel=TRAINING),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Train on a Ray cluster: auto, HOST:PORT or local. Requires whet[ray].",
        rich_help_panel=TRAINING,
    ),
]  # fmt: skip

Settings = dict[str, Any]
"""The training settings that were given by their usual names, for `recipes.with_options`; those not given are absent."""

_SETTINGS: dict[str, Any] = {
    "epochs": Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The number of epochs; the same as --budget Nep.", rich_help_panel=TRAINING),
    ],
    "batch_size": Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Samples per step.", rich_help_panel=TRAINING)
    ],
    "lr": Annotated[
        float | None,
        typer.Option("--lr", metavar="RATE", help="The learning rate of the recipe's optimizer.", rich_help_panel=TRAINING),
    ],
    "image_size": ImageSize,
    "device": Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", help="auto, cpu or cuda.", rich_help_panel=TRAINING, autocompletion=complete.devices
        ),
    ],
}  # fmt: skip
# Options that are names for a setting of the recipe. The learning rate belongs to whichever optimizer the recipe has.
_KEY_OF = {
    "budget": "train.budget", "epochs": "train.budget", "batch_size": "train.batch_size", "image_size": "train.image_size",
    "device": "train.device", "seed": "train.seed", "lr": ".lr", "weights": "model.weights",
    "architecture": "model.architecture", "head": "model.head",
}  # fmt: skip


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the keyword argument `settings` of a command by the options for training settings. The command receives their values
    in `settings`, and --epochs in `budget`. RecipeError where two options, or an option and --set, set the same."""

    def wrapper(*own: Any, **given: Any) -> None:
        _refuse_twice(given)
        settings = {key: value for key in _SETTINGS if (value := given.pop(key, None)) is not None}
        if "epochs" in settings:
            given["budget"] = f"{settings.pop('epochs')}ep"
        command(*own, **given, settings=settings)

    return _expanded(wrapper, command, "settings", _SETTINGS)


def _refuse_twice(given: dict[str, Any]) -> None:
    """Raise RecipeError where a setting is given twice: `--epochs 10 --budget 5ep`, `--lr 0.1 --set sgd.lr=0.2`."""
    named: dict[str, str] = {}
    for name, key in _KEY_OF.items():
        if (value := given.get(name)) is not None:
            option = f"{option_of(name)} {value:g}" if isinstance(value, float) else f"{option_of(name)} {value}"
            if key in named:
                raise RecipeError(f"{named[key]} and {option} both set {key}; give only one")
            named[key] = option
    for text in given.get("set_") or ():
        key = text.partition("=")[0].strip()
        other = named.get(key) or (named.get(".lr") if key.endswith(".lr") else None)
        if other is not None:
            raise RecipeError(f"{other} and --set {text} both set {key}; give only one")


# --- how data are read --------------------------------------------------------------------------------------------------
DATA = (
    "A folder of class folders (images, audio, .txt) or with train/ val/ test/; a table: .csv, .tsv, .jsonl, .parquet; or images "
    "with masks: COCO .json, images/ with masks/, YOLO, VOC, labelme, CVAT."
)
Reading = dict[str, Any]
"""The `DataSpec` values that were set by options on how to read the data; options that were not given are absent."""


def _named(metavar: str, help_: str) -> Any:
    return Annotated[str | None, typer.Option(metavar=metavar, help=help_, rich_help_panel=READING)]


Unlabelled = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Samples without a label: a folder, a table, or rows (of the data).", rich_help_panel=READING
    ),
]  # fmt: skip
InputFileColumn = Annotated[
    str | None,
    typer.Option(
        "--file-column", metavar="NAME", help="The column of file names, if it differs from that of the run's own data."
    ),
]
InputTextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column", metavar="NAME", help="The column of texts, if it differs from that of the run's own data."
    ),
]
_READING: dict[str, Any] = {
    "split_files": Annotated[
        list[str] | None,
        typer.Option(
            "--split-file", metavar="FILE", rich_help_panel=READING,
            help="The files of a split: train=LIST, a …train.txt, a table. Repeatable.",
        ),
    ],
    "files_root": _named("FOLDER", "What file names in a table are relative to. Default: its folder."),
    "class_folder": _named("LEVEL", "Which level of nested class folders is the class: outer or inner."),
    "file_column": _named("NAME", "The column of file names, if it has no usual name."),
    "text_column": _named("NAME", "The column of texts, if it has no usual name."),
    "label_column": _named("NAME", "The column of labels, if it has no usual name."),
    "label_columns": _named("NAMES", "The 0/1 columns of multi-label data, one per class: a,b,c."),
    "label_separator": _named("SIGN", "The sign between the labels of a cell of multi-label data: '|'."),
    "split_column": _named("NAME", "The column with train, val and test, if it is not called split."),
    "group_column": _named("NAME", "The column of groups (speaker, patient), never divided by splits."),
    "weight_column": _named("NAME", "The column of sample weights for training."),
    "mask_format": _named("FORMAT", "The format of masks: coco, pairs, yolo, voc, labelme or cvat."),
    "mask_template": _named("PATH", "The mask of an image: masks/{folder}/{stem}_mask.png."),
    "mask_classes": _named("NAMES", "The classes in mask files, by number: background,can,glass."),
    "mask_ignore": Annotated[
        int | None,
        typer.Option(
            metavar="N", help="The number in mask files of pixels that do not count. Default: 255.", rich_help_panel=READING
        ),
    ],
    "mask_supervision": _named("LEVEL", "What is trained on: masks, boxes, points or labels, to compare them."),
    "mask_frame": _named("FRAME", "Masks of images with an EXIF orientation: upright or stored."),
}  # fmt: skip
_OF_MASKS = "mask_"  # the beginning of the keys of `DataSpec.masks`


def option_of(key: str) -> str:
    """Return the option that sets this key of a Reading or a setting."""
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

    return _expanded(wrapper, command, "reading", _READING)


# --- decorators ---------------------------------------------------------------------------------------------------------
def speaks(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option --language to a command, and run it in that language."""

    def wrapper(*own: Any, language: str | None, **given: Any) -> None:
        set_language(language)
        command(*own, **given)

    return _presented(wrapper, command, [*_parameters(command), _option("language", _Language)])


def _expanded(
    wrapper: Callable[..., None], command: Callable[..., None], name: str, options: dict[str, Any]
) -> Callable[..., None]:
    """The wrapper as the command, with these options in place of the parameter `name`."""
    parameters = []
    for parameter in _parameters(command):
        parameters += [_option(key, hint) for key, hint in options.items()] if parameter.name == name else [parameter]
    return _presented(wrapper, command, parameters)


def _option(key: str, hint: Any) -> inspect.Parameter:
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    signature = inspect.signature(command)
    made = all(not isinstance(one.annotation, str) for one in signature.parameters.values())
    hints = {} if made else get_type_hints(command, include_extras=True)
    return [one if made else one.replace(annotation=hints[name]) for name, one in signature.parameters.items()]


def _presented(
    wrapper: Callable[..., None], command: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """The wrapper with the name and the help of the command and with these parameters."""
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper
