"""whet group"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.options import Force, ImageSize, Json, Weights
from whet.core.errors import RecipeError
from whet.core.language import tr, tr_n, translated

if TYPE_CHECKING:
    from whet.grouping.result import Grouping

NAME = "group"
_LINES = 3


def command(
    data: Annotated[
        str,
        typer.Argument(
            help="A folder of images, texts or audio clips, or a table of them. Labels and class folders do not matter. With "
            "--names: the --out folder of an earlier call."
        ),
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write groups.csv, names.yaml and the contact sheet to.")
    ] = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="The number of groups. Default: chosen by silhouette and stability.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="kmeans, ward or hdbscan.")] = "kmeans",
    weights: Weights = None,
    architecture: Annotated[
        str | None, typer.Option(help="The network: a local folder or a hub name. Default: that of the weights.")
    ] = None,
    image_size: ImageSize = None,
    file_column: Annotated[
        str | None, typer.Option("--file-column", help="The column of file names in a table, if it has no usual name.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option("--text-column", help="The column of texts in a table, if it has no usual name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The random seed.")] = 0,
    names: Annotated[
        bool, typer.Option("--names", help="Write a labelled table by the names that were filled in in names.yaml.")
    ] = False,
    links: Annotated[
        bool, typer.Option("--links", help="With --names: also write class folders with a link to each file.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Group similar samples without labels, so that a person can name whole groups.

    The data are not changed. Then fill in names.yaml, and call whet group OUT --names."""
    from whet.core.output import require_claimable

    if names:
        _name(Path(data), links=links, as_json=as_json)
        return
    if links:
        raise RecipeError("--links needs --names")
    if out is None:
        raise RecipeError("no --out given: the folder for groups.csv, names.yaml and the contact sheet")
    require_claimable(out, "group", data=[data])  # checked before torch is imported and the data are read
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from whet.cli.screen import print_json, talk
    from whet.core.spec import DataSpec
    from whet.grouping.grouping import group

    watch = talk(quiet=as_json)
    columns = (TextColumn("  {task.description}", markup=False), BarColumn(bar_width=28), TimeRemainingColumn())
    with Progress(*columns, console=watch, transient=True, disable=not watch.is_terminal) as bar:
        task = bar.add_task(tr("reading"), total=None)
        found = group(
            DataSpec(path=data, file_column=file_column, text_column=text_column), out=out, groups=groups,
            algorithm=algorithm, weights=weights, architecture=architecture, image_size=image_size, seed=seed, force=force,
            begin=lambda stage, total: bar.reset(task, description=translated(stage), total=total or None),
            advance=lambda count: bar.advance(task, count),
        )  # fmt: skip
    if as_json:
        print_json({**found.to_dict(), "page": str(found.page)})
        return
    _show(found, out)


def _show(found: Grouping, out: Path) -> None:
    from whet.cli.screen import place, print_table, results, table, talk, then
    from whet.core.media import plural

    watch, screen = talk(), results()
    rows = table(tr("group"), tr("samples"), tr("unsure"), right=(0, 1, 2))
    for row in found.to_dict()["groups"]:
        rows.add_row(str(row["group"]), str(row["samples"]), str(row["unsure"]))
    print_table(screen, rows)
    counted = tr("{n:,} {samples!t}", n=len(found.table), samples=plural(found.medium))
    screen.print("\n" + tr_n("{n} group of {samples}", "{n} groups of {samples}", found.groups, samples=counted))
    watch.print(tr("by the {features!t}", features=found.features), style="dim")
    if found.simple:
        watch.print(tr("weak features: give --weights for groups by meaning"), style="yellow")
    if found.left_out:
        watch.print(tr("{n} entries were left out:", n=len(found.left_out)), style="yellow")
        for line in found.left_out[:_LINES]:
            watch.print("  " + line, style="dim")
    place(screen, tr("page"), out / "report.html")
    place(screen, tr("names"), out / "names.yaml", tr(": to be filled in"))
    then("group", out, "--names")


def _name(folder: Path, *, links: bool, as_json: bool) -> None:
    from whet.cli.screen import place, print_json, print_table, results, table, then
    from whet.grouping.names import label_by_names

    found = label_by_names(folder, links=links)
    if as_json:
        print_json({**vars(found)})
        return
    screen = results()
    rows = table(tr("class"), tr("samples"), right=(1,))
    for name, count in found.counts.items():
        rows.add_row(name, str(count))
    print_table(screen, rows)
    left = tr(
        "left out: {unnamed:,} in groups without a name, {unsure:,} unsure", unnamed=found.unnamed, unsure=found.unsure
    )
    screen.print("\n" + left)
    place(screen, tr("table"), found.table)
    if found.folder is not None:
        place(screen, tr("folder"), found.folder)
    beside = () if found.unsure_table is None else ("--unlabelled", found.unsure_table)
    then("train", found.table, *beside)
