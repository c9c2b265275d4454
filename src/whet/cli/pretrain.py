"""whet pretrain"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import (
    Architecture,
    Budget,
    Json,
    Out,
    Reading,
    RecipeName,
    Seed,
    Set,
    Settings,
    Unlabelled,
    Weights,
    With,
    Without,
    reads_data,
    takes_settings,
)
from whet.core.language import tr

NAME = "pretrain"


@reads_data
@takes_settings
def command(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A folder of files or a table, with or without labels. Labels are not trained on."
        ),
    ],
    recipe: RecipeName = None,
    add: With = None,
    drop: Without = None,
    set_: Set = None,
    weights: Weights = None,
    architecture: Architecture = None,
    budget: Budget = None,
    *,
    settings: Settings,
    seed: Seed = None,
    unlabelled: Unlabelled = None,
    reading: Reading,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Pre-train a network on samples without using labels; a training then starts from it."""
    from whet.core.output import require_claimable

    if out is not None:  # checked before torch is imported
        require_claimable(out, "run", data=[data])
    from rich.text import Text

    from whet import api, recipes
    from whet.cli.screen import observer, place, print_json, results, then
    from whet.core.process import process_began
    from whet.core.spec import DataSpec, ModelSpec
    from whet.report import build_report
    from whet.run import Run
    from whet.training.job import train_run

    started, watch = process_began(), observer(as_json)
    spec = DataSpec(path=data, unlabelled=unlabelled, **reading)
    asked = {key: value for key, value in (("weights", weights), ("architecture", architecture)) if value is not None}
    requested = api.build_recipe(
        spec,
        recipe or recipes.for_pretraining(spec, ModelSpec(**asked)),
        None,
        budget,
        seed=seed,
        **asked,
    )
    requested = recipes.change(
        requested, settings=tuple(set_ or ()), add=tuple(add or ()), drop=tuple(drop or ()), note=watch.note
    )
    requested = recipes.with_options(requested, **settings)
    finished = Run(train_run(requested, out, observer=watch, started=started, report=build_report))
    metrics = finished.metrics
    if as_json:
        print_json({"run": str(finished.path), "report": str(finished.folder.report), **metrics})
        return
    result, screen, task = metrics["val"], results(), finished.folder.task
    figure, what = task.summary(result, tr("{n} held-out samples", n=result["samples"]))
    beside = [f"{title} {value}" for title, value, _ in task.tiles(result)]
    total = tr("{s:.0f} s in total", s=metrics["cost"]["total_seconds"])
    screen.print(Text.assemble((figure, "bold green"), " " + tr(", ").join([what, *beside, total])))
    place(screen, tr("run"), finished.path)
    place(screen, tr("report"), finished.folder.report)
    labelled = len(finished.folder.read_json(finished.folder.data)["classes"]) > 1
    then("train", data if labelled else "YOUR_LABELLED_DATA", "--weights", finished.path)
