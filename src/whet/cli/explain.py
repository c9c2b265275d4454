"""whet explain"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import Force, InputFileColumn, InputTextColumn, Json
from whet.cli.predict import exit_code
from whet.core.language import tr

NAME = "explain"


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", autocompletion=complete.runs)],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, audio clips, folders of them, or patterns. For a text run: texts, .txt files, or tables. "
            "Default: the run's most confident mistakes."
        ),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="The class to explain. Default: the predicted class of each sample.")
    ] = None,
    most: Annotated[
        int, typer.Option(min=1, max=500, help="The number of mistakes to show if no inputs are given.")
    ] = 12,
    out: Annotated[Path, typer.Option(help="The page to write, an .html file.")] = Path("explanation.html"),
    force: Force = False,
    file_column: InputFileColumn = None,
    text_column: InputTextColumn = None,
    as_json: Json = False,
) -> None:
    """Explain predictions: heatmaps over images and audio, attributions of words."""
    from rich.text import Text

    from whet.api import load
    from whet.cli.screen import one_line, place, print_json, print_table, results, table
    from whet.core.errors import DataError, RecipeError
    from whet.core.output import claim_file

    if out.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"--out {out}: the name must end in .html")
    claim_file(out, inputs=inputs or (), force=force)
    found = load(run).explain(
        inputs or None, class_name=class_name, most=most, file_column=file_column, text_column=text_column
    )
    try:
        found.save(out)
    except OSError as error:
        raise DataError(f"--out {out} cannot be written: {error.strerror or error}") from None
    records = [sample.to_dict() for sample in found]
    if as_json:
        print_json({"page": str(out), "samples": records})
        raise typer.Exit(exit_code(records))
    screen = results()
    rows = table(tr("sample"), tr("prediction"), tr("confidence"), tr("explained class"), right=(2,))
    for sample in found:
        name = one_line(screen, sample.name)
        if sample.explanation is None:
            rows.add_row(name, Text(sample.error, "red"), "", "")
        else:
            rows.add_row(name, sample.predicted, f"{100 * sample.confidence:.1f} %", sample.explained)
    print_table(screen, rows)
    place(screen, tr("page"), out)
    raise typer.Exit(exit_code(records))
