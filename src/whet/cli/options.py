"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from whet.core.errors import RecipeError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
InputFileColumn = Annotated[
    str | None,
    typer.Option("--file-column", help="A table's column of file names, where it is not that of the run's own data."),
]
InputTextColumn = Annotated[
    str | None,
    typer.Option("--text-column", help="A table's column of texts, where it is not that of the run's own data."),
]
Weights = Annotated[
    str | None, typer.Option(help="Pretrained weights: a local folder, a hub name, or none for random ones.")
]
# The names of the zoo (models/zoo), which help must tell without loading torch; a test holds them to it.
ZOO = (
    "lenet", "alexnet", "vgg16", "resnet9", "resnet9_slim", "resnet18", "mobilenet_v2", "efficientnet_b0", "convmixer",
    "convnext_atto", "vit_tiny",
)  # fmt: skip
TEXT_ZOO = ("fast_text", "text_cnn", "text_transformer", "tf_idf")
Architecture = Annotated[
    str | None,
    typer.Option(help=f"{', '.join(ZOO)}; for texts {', '.join(TEXT_ZOO)}; a local folder, or a hub name."),
]
_TRAINING = "Training settings"
Epochs = Annotated[
    int | None, typer.Option(min=1, help="So many epochs: the same as --budget Nep.", rich_help_panel=_TRAINING)
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Samples a step.", rich_help_panel=_TRAINING)]
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="The learning rate of the recipe's optimizer.", rich_help_panel=_TRAINING)
]
ImageSize = Annotated[
    str | None,
    typer.Option(help="Pixels of a side, or a share of the weights' own size, as 85%.", rich_help_panel=_TRAINING),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_TRAINING)]
Force = Annotated[
    bool, typer.Option("--force", help="Write over what an earlier call left there; an input is never written over.")
]
Out = Annotated[Path | None, typer.Option(help="The folder to write; by default the next free name below runs/.")]
Ray = Annotated[
    str | None, typer.Option(help="Make the runs on a Ray cluster: auto, HOST:PORT, or local; needs whet[ray].")
]
METRICS_HELP = (
    "accuracy, macro_f1, worst_class, log_loss or calibration_error; of several labels a sample also hamming_accuracy, micro_f1 "
    "or mean_average_precision."
)


def budget_of(budget: str | None, epochs: int | None) -> str | None:
    """--budget, or --epochs in its form; RecipeError where both are given."""
    if budget is not None and epochs is not None:
        raise RecipeError(f"--epochs {epochs} and --budget {budget} say the same thing; give one of them")
    return f"{epochs}ep" if epochs is not None else budget


DATA = (
    "A folder of class folders (images, .txt files), a folder of train/ val/ test/ folders or tables, or a table: .csv, .tsv, "
    ".jsonl or .parquet."
)

# --- how data are read --------------------------------------------------------------------------------------------------
Reading = dict[str, Any]
"""What was asked of how data are read: values of `DataSpec`, without what was not asked."""

_PANEL = "How the data are read"


def _named(help_: str) -> Any:
    return Annotated[str | None, typer.Option(help=help_, rich_help_panel=_PANEL)]


_READING: dict[str, Any] = {
    "split_files": Annotated[
        list[str] | None,
        typer.Option(
            "--split-file",
            help="A list of files for one part: train=FILE, a FILE named …train.txt, a pattern with {train,val,test}, "
            "or a table with file and split columns. May be given several times.",
            rich_help_panel=_PANEL,
        ),
    ],
    "files_root": _named("The folder that a table's files are named from; else the table's own."),
    "class_folder": _named("Where class folders hold folders: outer or inner, which of them name the classes."),
    "file_column": _named("The table's column of file names, where it has no usual name."),
    "text_column": _named("The table's column of texts, where it has no usual name."),
    "label_column": _named("The table's column of classes, where it has no usual name."),
    "label_columns": _named("The table's columns of 0 and 1, one a class, where a sample may have several: a,b,c."),
    "label_separator": _named("What stands between the labels in a cell, where a sample may have several: '|'."),
    "split_column": _named("The table's column of train, val and test, where it is not called split."),
    "group_column": _named("The table's column of groups (speaker, patient, site), never in two parts at once."),
    "weight_column": _named("The table's column of sample weights, how much each counts in training."),
}


def option_of(key: str) -> str:
    """The option that sets this value of a Reading."""
    return "--split-file" if key == "split_files" else "--" + key.replace("_", "-")


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of how data are read in the place of its keyword argument `reading`, which is given what was
    asked by them."""

    def told(*own: Any, **given: Any) -> None:
        asked = {key: value for key in _READING if (value := given.pop(key, None)) is not None}
        if "label_columns" in asked:
            names = asked["label_columns"].split(",")
            asked["label_columns"] = tuple(name.strip() for name in names if name.strip())
        if "split_files" in asked:
            asked["split_files"] = tuple(asked["split_files"])
        command(*own, **given, reading=asked)

    hints = get_type_hints(command, include_extras=True)
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name != "reading":
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters += [inspect.Parameter(key, keyword, default=None, annotation=hint) for key, hint in _READING.items()]
    told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    told.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    told.__name__, told.__doc__ = command.__name__, command.__doc__
    return told
