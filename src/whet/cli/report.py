"""whet report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import Json
from whet.core.language import tr

NAME = "report"


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A finished run, or an output folder of whet improve, study, tune, check or compare --architectures.",
            autocompletion=complete.runs,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Rebuild the report: one self-contained HTML file."""
    from whet import report
    from whet.cli.screen import place, print_json, results
    from whet.core.errors import RunError
    from whet.core.output import kind_of
    from whet.core.run_folder import RunFolder

    builders = {
        "improve": report.build_improvement,
        "architectures": report.build_architectures,
        "study": report.build_study,
        "tune": report.build_tuning,
        "check": report.build_check,
    }
    kind = kind_of(path)
    if kind is None:
        raise RunError(f"{path} is not a run folder or another output folder of whet")
    written = builders[kind](path) if kind in builders else report.build_report(RunFolder.open(path))
    if as_json:
        print_json({"report": str(written)})
    else:
        place(results(), tr("report"), written)
