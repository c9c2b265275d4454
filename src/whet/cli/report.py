"""whet report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json

NAME = "report"


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A finished run, or the folder of whet improve, whet tune or whet compare --architectures."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write the report anew: one HTML file that needs no network."""
    from whet.cli.screen import console, print_json
    from whet.core.run_folder import RunFolder
    from whet.report import build_architectures, build_improvement, build_report, build_tuning

    if (path / "improvement.json").is_file():
        written = build_improvement(path)
    elif (path / "architectures.json").is_file():
        written = build_architectures(path)
    elif (path / "tuning.json").is_file():
        written = build_tuning(path)
    else:
        written = build_report(RunFolder.open(path))
    if as_json:
        print_json({"report": str(written)})
    else:
        console().print(f"report  {written}")
