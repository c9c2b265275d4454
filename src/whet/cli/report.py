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
            help="A finished run, or the folder of whet improve, study, tune, check or compare --architectures."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write the report anew: one HTML file that needs no network."""
    from whet import report
    from whet.cli.screen import console, place, print_json
    from whet.core.run_folder import RunFolder

    builders = {
        "improvement.json": report.build_improvement,
        "architectures.json": report.build_architectures,
        "study.json": report.build_study,
        "tuning.json": report.build_tuning,
        "check.json": report.build_check,
    }
    build = next((build for name, build in builders.items() if (path / name).is_file()), None)
    written = build(path) if build is not None else report.build_report(RunFolder.open(path))
    if as_json:
        print_json({"report": str(written)})
    else:
        place(console(), "report", written)
