"""whet check"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import DATA, FileColumn, Json, LabelColumn, SplitFile

NAME = "check"
_COLOUR = {"problem": "red", "warning": "yellow", "fact": "blue"}


def command(
    data: Annotated[str, typer.Argument(help=DATA)],
    split_file: SplitFile = None,
    file_column: FileColumn = None,
    label_column: LabelColumn = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 1 if there is a problem.")] = False,
    as_json: Json = False,
) -> None:
    """Is this data fit to learn and to judge from? Unreadable files, copies, label conflicts, leaks, balance.

    Nothing is changed."""
    from rich.markup import escape
    from rich.progress import Progress

    from whet.cli.screen import console, print_json, table
    from whet.core.recipe import DataSpec
    from whet.data.audit import audit
    from whet.data.read import read_data

    spec = DataSpec(path=data, split_files=tuple(split_file or ()), file_column=file_column, label_column=label_column)
    screen = console(quiet=as_json)
    samples = read_data(spec)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("  opening every picture", total=len(samples))
        findings = audit(samples, 4, lambda count: bar.advance(task, count))
    problems = sum(finding.severity == "problem" for finding in findings)
    if as_json:
        counts = {
            split: dict(zip(samples.classes, samples.part(split).counts_K.tolist()))
            for split in ("train", "val", "test")
        }
        print_json({"samples": len(samples), "counts": counts, "findings": [finding.to_dict() for finding in findings]})
    else:
        rows = table("class", "train", "val", "test", right=(1, 2, 3))
        for k, name in enumerate(samples.classes):
            rows.add_row(name, *(str(samples.part(split).counts_K[k]) for split in ("train", "val", "test")))
        screen.print(rows)
        screen.print()
        for finding in findings:
            screen.print(f"[bold {_COLOUR[finding.severity]}]{finding.kind}[/]  {escape(finding.text)}", soft_wrap=True)
            for group in finding.groups[:5]:
                screen.print("    " + escape("  =  ".join(group)), style="dim", soft_wrap=True)
            if len(finding.groups) > 5:
                screen.print(f"    … and {len(finding.groups) - 5} more (--json lists all)", style="dim")
        screen.print(f"\n{problems} {'problem' if problems == 1 else 'problems'} in {len(samples)} pictures")
        screen.print(f"next    whet improve {data}", style="dim")
    if strict and problems:
        raise typer.Exit(1)
