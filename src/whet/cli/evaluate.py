"""whet evaluate"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import (
    Json,
    Reading,
    reads_data,
)

if TYPE_CHECKING:
    from rich.table import Table

NAME = "evaluate"


@reads_data
def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    data: Annotated[str | None, typer.Argument(help="Other labelled data. Default: the run's own test split.")] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="The split to evaluate on: all, train, val or test. Default: all for other data; test for the run's own data, "
            "or val if it has no test split."
        ),
    ] = None,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Evaluate a run: accuracy with its interval, macro-F1, calibration, and metrics per class."""
    from rich.text import Text

    from whet.api import load
    from whet.cli.screen import print_json, print_table, results, talk, then
    from whet.core.spec import DataSpec

    loaded = load(run)
    metrics = loaded.evaluate(None if data is None else DataSpec(path=data, **reading), part=part)
    own = {"val": "validation", "all": "all splits"}.get(metrics["part"], metrics["part"])
    name = own if data is None else data if metrics["part"] == "all" else f"the {own} split of {data}"
    if as_json:
        print_json(metrics)
        return
    task, screen = loaded.folder.task, results()
    figure, what = task.summary(metrics, f"{metrics['samples']} samples of {name}")
    screen.print(Text.assemble((figure, "bold"), f" {what}"))
    screen.print(" · ".join(f"{title} {value}" for title, value, _ in task.tiles(metrics)) + "\n")
    if "per_class" in metrics:
        print_table(screen, (_by_segment if "iou" in metrics["per_class"][0] else _by_class)(metrics["per_class"]))
    for count, what in ((metrics["trained_on"], "was trained on"), (metrics["validated_on"], "was validated on")):
        if count:
            text = f"{count} of {metrics['samples']} samples have the same content as a sample that this run {what}"
            talk().print(f"{text}: the metrics are no estimate for new data", style="yellow")
    for entry in metrics.get("left_out", [])[:10]:
        talk().print(f"excluded: {entry['id']}: {entry['reason']}", style="yellow")
    then("report", run)


def _by_segment(per_class: list[dict[str, Any]]) -> Table:
    from whet.cli.screen import table

    keys = ("iou", "dice", "precision", "recall", "boundary_f")
    rows = table("class", "images", "IoU", "Dice", "precision", "recall", "boundary F", right=(1, 2, 3, 4, 5, 6))
    for row in per_class:
        cells = ["none" if row[key] is None else f"{100 * row[key]:.1f}" for key in keys]
        rows.add_row(row["name"], str(row["images"]), *cells)
    return rows


def _by_class(per_class: list[dict[str, Any]]) -> Table:
    from whet.cli.screen import table

    by_label = "average_precision" in per_class[0]
    beside = ("average precision",) if by_label else ()
    rows = table("class", "samples", "recall", "interval", "precision", "F1", *beside, right=(1, 2, 3, 4, 5, 6))
    for row in per_class:
        if row["samples"]:
            band = f"{100 * row['recall_interval'][0]:.0f}–{100 * row['recall_interval'][1]:.0f}"
            rows.add_row(
                row["name"], str(row["samples"]), f"{100 * row['recall']:.1f}", band, f"{100 * row['precision']:.1f}",
                f"{100 * row['f1']:.1f}", *([f"{100 * row['average_precision']:.1f}"] if by_label else []),
            )  # fmt: skip
    return rows
