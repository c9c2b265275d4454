"""whet evaluate"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli import complete
from whet.cli.options import (
    Json,
    Reading,
    reads_data,
)
from whet.core.language import tr

if TYPE_CHECKING:
    from rich.table import Table

NAME = "evaluate"


@reads_data
def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", autocompletion=complete.runs)],
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
    """Evaluate a run: accuracy with its interval, macro-F1, calibration, each class."""
    from rich.text import Text

    from whet.api import load
    from whet.cli.screen import print_json, print_table, results, talk, then
    from whet.core.spec import DataSpec

    loaded = load(run)
    metrics = loaded.evaluate(None if data is None else DataSpec(path=data, **reading), part=part)
    if as_json:
        print_json(metrics)
        return
    task, screen = loaded.folder.task, results()
    figure, what = task.summary(metrics, _samples(metrics, data))
    screen.print(Text.assemble((figure, "bold"), f" {what}"))
    screen.print(" · ".join(f"{title} {value}" for title, value, _ in task.tiles(metrics)) + "\n")
    if "per_class" in metrics:
        tables = {"segments": _by_segment, "instances": _by_object}
        by_class = next((tables[name] for name in task.sections if name in tables), _by_class)
        print_table(screen, by_class(metrics["per_class"]))
    known = {"known": metrics["trained_on"], "samples": metrics["samples"]}
    if metrics["trained_on"]:
        trained = tr(
            "{known} of {samples} samples have the same content as a sample that this run was trained on", **known
        )
        talk().print(trained + tr(": the metrics are no estimate for new data"), style="yellow")
    known["known"] = metrics["validated_on"]
    if metrics["validated_on"]:
        seen = tr(
            "{known} of {samples} samples have the same content as a sample that this run was validated on", **known
        )
        talk().print(seen + tr(": the metrics are no estimate for new data"), style="yellow")
    for entry in metrics.get("left_out", [])[:10]:
        talk().print(tr("excluded: {id}: {reason}", id=entry["id"], reason=entry["reason"]), style="yellow")
    then("report", run)


def _by_segment(per_class: list[dict[str, Any]]) -> Table:
    from whet.cli.screen import table

    keys = ("iou", "dice", "precision", "recall", "boundary_f")
    rows = table(
        tr("class"),
        tr("images"),
        "IoU",
        "Dice",
        tr("precision"),
        tr("recall"),
        tr("boundary F"),
        right=(1, 2, 3, 4, 5, 6),
    )
    for row in per_class:
        cells = [tr("none") if row[key] is None else f"{100 * row[key]:.1f}" for key in keys]
        rows.add_row(row["name"], str(row["images"]), *cells)
    return rows


def _samples(metrics: dict[str, Any], data: str | None) -> str:
    """'431 samples of test', '60 samples of photos/', …"""
    from whet.report.text import part_name

    part, samples = metrics["part"], metrics["samples"]
    if part == "all":
        return tr("{n} samples of {data}", n=samples, data=data) if data else tr("{n} samples of all splits", n=samples)
    if data is None:
        return tr("{n} {part!t} samples", n=samples, part=part_name(part))
    return tr("{n} {part!t} samples of {data}", n=samples, part=part_name(part), data=data)


def _by_object(per_class: list[dict[str, Any]]) -> Table:
    from whet.cli.screen import table

    keys = ("ap", "ap50", "ap75", "precision", "recall")
    rows = table(
        tr("class"), tr("images"), tr("objects"), "AP", "AP50", "AP75", tr("precision"), tr("recall"),
        right=(1, 2, 3, 4, 5, 6, 7),
    )  # fmt: skip
    for row in per_class:
        cells = [tr("none") if row[key] is None else f"{100 * row[key]:.1f}" for key in keys]
        rows.add_row(row["name"], str(row["images"]), str(row["objects"]), *cells)
    return rows


def _by_class(per_class: list[dict[str, Any]]) -> Table:
    from whet.cli.screen import table

    by_label = "average_precision" in per_class[0]
    beside = (tr("average precision"),) if by_label else ()
    rows = table(
        tr("class"),
        tr("samples"),
        tr("recall"),
        tr("interval"),
        tr("precision"),
        "F1",
        *beside,
        right=(1, 2, 3, 4, 5, 6),
    )
    for row in per_class:
        if row["samples"]:
            band = f"{100 * row['recall_interval'][0]:.0f}–{100 * row['recall_interval'][1]:.0f}"
            rows.add_row(
                row["name"], str(row["samples"]), f"{100 * row['recall']:.1f}", band, f"{100 * row['precision']:.1f}",
                f"{100 * row['f1']:.1f}", *([f"{100 * row['average_precision']:.1f}"] if by_label else []),
            )  # fmt: skip
    return rows
