"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
SplitFile = Annotated[
    list[str] | None,
    typer.Option(
        "--split-file",
        help="A list of files for one part: train=FILE, a FILE named …train.txt, a pattern with {train,val,test}, "
        "or a table with file and split columns. May be given several times.",
    ),
]
FileColumn = Annotated[str | None, typer.Option(help="The table's column of file names, where it has no usual name.")]
LabelColumn = Annotated[str | None, typer.Option(help="The table's column of classes, where it has no usual name.")]
LabelColumns = Annotated[
    str | None,
    typer.Option(help="The table's columns of 0 and 1, one a class, where a sample may have several: a,b,c."),
]
LabelSeparator = Annotated[
    str | None, typer.Option(help="What stands between the labels in a cell, where a sample may have several: '|'.")
]
TextColumn = Annotated[str | None, typer.Option(help="The table's column of texts, where it has no usual name.")]
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
TEXT_ZOO = ("fast_text", "text_cnn", "text_transformer")
Architecture = Annotated[
    str | None,
    typer.Option(help=f"{', '.join(ZOO)}; for texts {', '.join(TEXT_ZOO)}; a local folder, or a hub name."),
]
Out = Annotated[Path | None, typer.Option(help="The folder to write; by default the next free name below runs/.")]
Ray = Annotated[
    str | None, typer.Option(help="Make the runs on a Ray cluster: auto, HOST:PORT, or local; needs whet[ray].")
]
METRICS_HELP = (
    "accuracy, macro_f1, worst_class, log_loss or calibration_error; of several labels a sample also hamming_accuracy, micro_f1 "
    "or mean_average_precision."
)


def column_names(given: str | None) -> tuple[str, ...] | None:
    """'a,b,c' -> ('a', 'b', 'c'), or None where nothing is given."""
    return None if given is None else tuple(name.strip() for name in given.split(",") if name.strip())


DATA = (
    "A folder of class folders (pictures, .txt files), a folder of train/ val/ test/ folders or tables, or a table: .csv, .tsv, "
    ".jsonl or .parquet."
)
