"""whet label"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli import complete
from whet.cli.options import Force, InputFileColumn, InputTextColumn, Json
from whet.core.errors import RecipeError
from whet.core.language import tr, translated

if TYPE_CHECKING:
    from whet.labelling.labelling import Proposals

NAME = "label"
_ON_SCREEN, _LINES = 10, 3


def command(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder or table of samples; those that have a label already do not count. With --labels: the --out folder of "
            "an earlier call."
        ),
    ],
    *,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            autocompletion=complete.runs,
            help="A finished run. Can be repeated: runs with the same classes predict together.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write to_label.csv and a page to.")] = None,
    count: Annotated[int, typer.Option(min=1, help="The number of samples to propose.")] = 60,
    by: Annotated[str, typer.Option("--by", help="margin, disagreement or coreset.")] = "margin",
    file_column: InputFileColumn = None,
    text_column: InputTextColumn = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Write a table for the next training, with the labels that were filled in.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose the unlabelled samples that are worth labelling next.

    It writes a table and a page. The data are not changed. Then fill in to_label.csv, and call whet label OUT --labels."""
    from whet.core.output import require_claimable

    if labels:
        _merge(Path(data), run, as_json=as_json)
        return
    if not run:
        raise RecipeError("no --run given: a finished run that predicts these samples")
    if out is None:
        raise RecipeError("no --out given: the folder for to_label.csv and the page")
    require_claimable(out, "label", data=[data])  # checked before torch is imported and the data are read
    from rich.text import Text

    from whet.cli.screen import print_json, talk
    from whet.core.spec import DataSpec
    from whet.labelling.labelling import label

    watch = talk(quiet=as_json)
    spec = DataSpec(path=data, file_column=file_column, text_column=text_column)
    found = label(
        spec, run=run, count=count, by=by, out=out, force=force,
        begin=lambda stage, total: watch.print(Text.assemble(("› ", "bold"), translated(stage))),
    )  # fmt: skip
    if as_json:
        print_json({**found.to_dict(), "page": str(found.page)})
        return
    _show(found, out)


def _show(found: Proposals, out: Path) -> None:
    from whet.cli.screen import one_line, place, print_table, results, table, talk, then
    from whet.core.labels import labels_text

    watch, screen = talk(), results()
    rows = table("", tr("sample"), tr("prediction"), tr("confidence"), right=(0, 3))
    for row in found.table.head(_ON_SCREEN if screen.is_terminal else None).to_dict("records"):
        guess = row["guess"] if isinstance(row["guess"], str) else labels_text(row["guess"])
        rows.add_row(
            str(row["rank"]), one_line(screen, row.get("text") or row["id"]), guess, f"{100 * row['confidence']:.1f} %"
        )
    print_table(screen, rows)
    counts = {"n": len(found.table), "unlabelled": found.unlabelled}
    screen.print("\n" + tr("{n} of {unlabelled:,} samples without a label", **counts))
    if found.left_out:
        watch.print(tr("{n} entries were left out:", n=len(found.left_out)), style="yellow")
        for line in found.left_out[:_LINES]:
            watch.print("  " + line, style="dim")
    place(screen, tr("page"), out / "report.html")
    place(screen, tr("table"), out / "to_label.csv", tr(": to be filled in"))
    then("label", out, "--labels")


def _merge(folder: Path, run: list[Path] | None, *, as_json: bool) -> None:
    from whet.cli.screen import place, print_json, print_table, results, table, talk, then
    from whet.labelling.merged import merge_labels

    found = merge_labels(folder, run=run[0] if run else None)
    if as_json:
        print_json({**vars(found)})
        return
    screen = results()
    rows = table(tr("class"), tr("new labels"), right=(1,))
    for name, count in sorted(found.counts.items()):
        rows.add_row(name, str(count))
    print_table(screen, rows)
    counts = {"before": found.before, "new": sum(found.counts.values()), "empty": found.empty}
    screen.print(
        "\n" + tr("{before:,} samples of the run, {new:,} new labels; {empty:,} rows without a label", **counts)
    )
    if found.new_classes:
        names = ", ".join(found.new_classes)
        talk().print(tr("classes that the run does not know: {names}", names=names), style="yellow")
    place(screen, tr("table"), found.table)
    then("train", found.table)
