"""whet ensemble"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import Json, Out
from whet.core.language import english, tr, translated

NAME = "ensemble"


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Finished runs on the same data, of any architectures.", autocompletion=complete.runs),
    ],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Combine finished runs into one model that averages their predictions.

    Nothing is trained."""
    from dataclasses import asdict

    from rich.text import Text

    from whet import api
    from whet.cli.screen import measured, observer, place, print_json, print_table, results, table, then
    from whet.core.run_folder import RunFolder
    from whet.report.text import part_name
    from whet.training.ensemble import ensemble_gain

    made = api.ensemble(*runs, out=out, observer=observer(as_json))
    part = "test" if "test" in made.metrics else "val"
    singles = [api.load(path) for path in runs]
    task = made.folder.task
    best = max(singles, key=lambda one: task.merit(one.metrics["val"]))
    gain = ensemble_gain(made.folder, RunFolder.open(best.path))
    if as_json:
        difference = {**asdict(gain), "verdict": gain.verdict}
        print_json({"run": str(made.path), "best_single": str(best.path), "difference": difference, **made.metrics})
        return
    screen, headline = results(), task.metric(None)
    shown = (task.headline, task.selects_by or task.followed[1])
    rows = table("", *(translated(task.metrics[name].title) for name in shown), tr("ms per sample"), right=(1, 2, 3))
    for name, one in (*((single.path.name, single) for single in singles), (tr("ensemble"), made)):
        found = one.metrics[part]
        rows.add_row(
            name, *(task.metrics[key].shown(found[key]) for key in shown),
            f"{1e3 * one.metrics['cost']['seconds_per_sample']:.1f}",
        )  # fmt: skip
    print_table(screen, rows)
    screen.print(
        Text.assemble(
            "\n",
            tr(
                "compared with {name}, the best run on the validation split, on {samples} {part!t} samples: ",
                name=best.path.name,
                samples=made.metrics[part]["samples"],
                part=part_name(part),
            ),
            *measured(headline, gain, english(" percentage points") if headline.is_share else ""),
        )
    )
    place(screen, tr("run"), made.path)
    place(screen, tr("report"), made.folder.report)
    then("predict", made.path, "YOUR_SAMPLES")
