"""whet predict"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli import complete
from whet.cli.options import Force, InputFileColumn, InputTextColumn, Json
from whet.core.language import tr

if TYPE_CHECKING:
    from whet.run import Run

NAME = "predict"
_ON_SCREEN = 50  # predictions


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", autocompletion=complete.runs)],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Images or audio clips, folders of them, patterns such as 'new/*.jpg', or tables of files. For a text run: "
            "texts, .txt files, folders of them, or tables. The output has one row per input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the predictions to this .csv or .json file; for a segmentation run, to this folder: masks, overlays, a COCO"
            " file, and a table of segments."
        ),
    ] = None,
    force: Force = False,
    spreadsheet: Annotated[
        bool,
        typer.Option("--spreadsheet", help="Prefix cells that a spreadsheet would run as a formula with a '."),
    ] = False,
    file_column: InputFileColumn = None,
    text_column: InputTextColumn = None,
    as_json: Json = False,
) -> None:
    """Predict the classes of your images, texts or audio clips, or the masks of your images."""
    from rich.text import Text

    from whet.api import load
    from whet.cli.screen import one_line, place, print_json, print_table, results, table, talk
    from whet.core import strict_json
    from whet.core.errors import RecipeError
    from whet.core.output import claim_file
    from whet.core.run_folder import write_csv

    loaded = load(run)
    if loaded.has_masks:
        if spreadsheet:
            raise RecipeError("--spreadsheet is for predictions of classes; this run predicts masks")
        if out is not None and out.suffix.lower() in (".csv", ".json"):
            raise RecipeError(
                f"--out {out}: this run predicts masks, so --out is a folder: masks, overlays, COCO, segments.csv"
            )
        _segment(loaded, inputs, out, file_column, force=force, as_json=as_json)
        return
    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise RecipeError(f"--out {out}: the name must end in .csv or .json")
    features = not loaded.folder.task.needs_labels
    if features and out is None and not as_json:
        raise RecipeError(f"{run} is a pre-training, which returns features: give --out features.csv or --json")
    if spreadsheet and (out is None or out.suffix.lower() != ".csv"):
        raise RecipeError("--spreadsheet requires --out NAME.csv")
    if out is not None:
        claim_file(out, inputs=inputs, force=force)
    predictions = loaded.predict(inputs, file_column=file_column, text_column=text_column)
    records = [
        {key: (None if value != value else value) for key, value in row.items()}
        for row in predictions.to_dict("records")
    ]
    if out is not None and out.suffix.lower() == ".json":
        strict_json.write(out, records)
    elif out is not None:
        cells = [[_cell(value) for value in row.values()] for row in records]
        write_csv(out, list(predictions.columns), cells, exact=not spreadsheet)
    if as_json:
        print_json(records)
        raise typer.Exit(exit_code(records))
    if features:
        place(talk(), tr("features"), str(out))
        raise typer.Exit(exit_code(records))
    screen = results()
    given = predictions.columns[0]  # "file" or "text"
    rows = table(tr("text") if given == "text" else tr("file"), tr("prediction"), tr("confidence"), right=(2,))
    shown = records[:_ON_SCREEN] if screen.is_terminal else records
    for row in shown:
        sure = f"{100 * row['confidence']:.1f} %" if row["confidence"] is not None else ""
        cell = Text(row["error"], "red") if row["error"] else _prediction_text(row)
        rows.add_row(one_line(screen, str(row[given])), cell, sure)
    print_table(screen, rows)
    if len(records) > len(shown):
        more = tr("… and {n} more", n=len(records) - len(shown))
        talk().print(more + ("" if out else tr("; --out predictions.csv saves all")))
    unread = sum(bool(row["error"]) for row in records)
    if unread:
        counts = {"unread": unread, "n": len(records)}
        text = (
            tr("{unread} of {n} texts could not be read", **counts)
            if given == "text"
            else tr("{unread} of {n} files could not be read", **counts)
        )
        talk().print(text, style="yellow")
    if out is not None:
        place(talk(), tr("predictions"), out)
    raise typer.Exit(exit_code(records))


def _segment(
    run: Run, inputs: list[str], out: Path | None, file_column: str | None, *, force: bool, as_json: bool
) -> None:
    from rich.text import Text

    from whet.cli.screen import one_line, place, print_json, print_table, results, table, talk
    from whet.segments import write_segments

    images = run.segment(inputs, file_column=file_column)
    found = (
        write_segments(images, run.classes, out, inputs=inputs, force=force)
        if out is not None
        else (image.row(run.classes) for image in images)
    )
    records = [{key: (None if value != value else value) for key, value in row.items()} for row in found]
    if as_json:
        print_json(records)
        raise typer.Exit(exit_code(records))
    screen = results()
    objects = any(name.startswith("count:") for name in records[0]) if records else False
    rows = table(tr("file"), tr("objects") if objects else tr("share of each class"))
    shown = records[:_ON_SCREEN] if screen.is_terminal else records
    for row in shown:
        count = {name.removeprefix("count:"): n for name, n in row.items() if name.startswith("count:") and n}
        area = {name.removeprefix("area:"): share for name, share in row.items() if name.startswith("area:") and share}
        listed = tr(", ").join(
            f"{name} {100 * area[name]:.1f} %" for name in sorted(area, key=lambda name: -area[name])
        )
        counted = tr(", ").join(f"{n:.0f} {name}" for name, n in count.items())
        listed = counted if objects else listed
        rows.add_row(one_line(screen, str(row["file"])), Text(row["error"], "red") if row["error"] else listed)
    print_table(screen, rows)
    if len(records) > len(shown):
        more = tr("… and {n} more", n=len(records) - len(shown))
        talk().print(more + ("" if out else tr("; --out FOLDER saves all")))
    unread = sum(bool(row["error"]) for row in records)
    if unread:
        text = tr("{unread} of {n} files could not be read", unread=unread, n=len(records))
        talk().print(text, style="yellow")
    if out is not None:
        place(talk(), tr("predictions"), out)
    raise typer.Exit(exit_code(records))


def exit_code(records: list[dict[str, Any]]) -> int:
    """Return 1 if there are inputs and none of them could be read, else 0."""
    return int(bool(records) and all(row.get("error") for row in records))


def _prediction_text(row: dict[str, Any]) -> str:
    """The class, or every label with its probability in descending order."""
    from whet.core.labels import labels_text

    if isinstance(row["predicted"], str):
        return row["predicted"]
    sure = sorted(row["predicted"], key=lambda name: -row[f"p:{name}"])
    return labels_text([f"{name} {100 * row[f'p:{name}']:.0f} %" for name in sure])


def _cell(value: Any) -> Any:
    """The value as a table cell."""
    from whet.core.labels import labels_cell

    if isinstance(value, list):
        return labels_cell(value)
    return "" if value is None else value
