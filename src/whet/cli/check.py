"""whet check"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    Force,
    Json,
    Reading,
    Unlabelled,
    reads_data,
)
from whet.core.language import tr, tr_n, translated

NAME = "check"
_COLOUR = {"problem": "red", "warning": "yellow", "fact": "blue"}
_LINES = {"problem": 5, "warning": 5, "fact": 2}


@reads_data
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    *,
    reading: Reading,
    unlabelled: Unlabelled = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Pretrained weights for finding likely errors in labels or masks: a local folder or a hub name."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write the report and the cleaned table to.")] = None,
    force: Force = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 if there is a problem.")] = False,
    as_json: Json = False,
) -> None:
    """Find faults in the data: unreadable files, duplicates, leaks, shortcuts, label errors.

    Looked for are also near-duplicates, label conflicts, groups, outliers and unbalanced classes. The data are not changed."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from whet.core.output import require_claimable

    if out is not None:  # checked before torch is imported and the data are read
        require_claimable(out, "check", data=[data])
    from whet.checking import check
    from whet.cli.screen import hint, place, print_json, print_table, results, table, talk, then
    from whet.core.media import plural
    from whet.core.spec import DataSpec

    watch = talk(quiet=as_json)
    columns = (TextColumn("  {task.description}", markup=False), BarColumn(bar_width=28), TimeRemainingColumn())
    with Progress(*columns, console=watch, transient=True, disable=not watch.is_terminal) as bar:
        task = bar.add_task(tr("reading"), total=None)
        found = check(
            DataSpec(path=data, unlabelled=unlabelled, **reading), weights=weights, out=out, force=force,
            begin=lambda stage, total: bar.reset(task, description=translated(stage), total=total or None),
            advance=lambda count: bar.advance(task, count),
        )  # fmt: skip
    samples = found.survey.table
    if as_json:
        print_json({**found.to_dict(), "page": str(found.page) if found.page else None})
    else:
        screen = results()
        parts = [part for part in ("train", "val", "test") if len(samples.part(part))]
        rows = table(tr("class"), *map(translated, parts), right=tuple(range(1, len(parts) + 1)))
        for k, name in enumerate(samples.classes):
            rows.add_row(name, *(str(samples.part(part).counts_K[k]) for part in parts))
        print_table(screen, rows)
        screen.print()
        for finding in found.findings:
            kind, text = translated(finding.kind), translated(finding.text)
            screen.print(Text.assemble((kind, f"bold {_COLOUR[finding.severity]}"), f"  {text}"))
            lines = finding.lines()
            most = _LINES[finding.severity] if screen.is_terminal else len(lines)
            for line in lines[:most]:
                screen.print("    " + line, style="dim")
            if len(lines) > most:
                where = "check.json" if found.page else "--json"
                screen.print(
                    "    " + tr("… and {n} more ({where} lists all)", n=len(lines) - most, where=where), style="dim"
                )
        samples_text = tr("{n:,} {samples!t}", n=len(samples), samples=plural(samples.medium))
        screen.print(
            "\n" + tr_n("{n} problem in {samples}", "{n} problems in {samples}", found.problems, samples=samples_text)
        )
        if found.page:
            cleaned = found.page.parent / "cleaned.csv"
            left_out = len(found.cleaned.dropped)
            place(screen, tr("page"), found.page)
            counts = tr(": {kept:,} kept, {dropped} excluded", kept=len(found.cleaned.rows), dropped=left_out)
            place(screen, tr("cleaned"), cleaned, counts)
            kept = os.path.relpath(cleaned)
            as_list = (data, "--split-file", kept) if samples.label_kind == "masks" else (kept,)
            then("improve", *(as_list if left_out else (data,)))
        else:
            page = tr(
                "--out FOLDER writes a report with {samples!t}, and a cleaned table", samples=plural(samples.medium)
            )
            hint(screen, tr("page"), page)
            then("improve", data)
    if strict and found.problems:
        raise typer.Exit(1)
