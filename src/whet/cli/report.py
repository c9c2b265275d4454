"""whet report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json

NAME = "report"


def command(
    path: Annotated[Path, typer.Argument(help="A finished run, or the folder of a whet improve job.")],
    as_json: Json = False,
) -> None:
    """Write the report anew: one HTML file that needs no network."""
    from whet.cli.screen import console, print_json
    from whet.core.run_folder import RunFolder
    from whet.report import build_improvement, build_report

    written = build_improvement(path) if (path / "improvement.json").is_file() else build_report(RunFolder.open(path))
    if as_json:
        print_json({"report": str(written)})
    else:
        console().print(f"report  {written}")
