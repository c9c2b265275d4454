"""whet train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import (
    DATA,
    OUTPUT,
    TRAINING,
    Architecture,
    Budget,
    Head,
    Json,
    Out,
    Reading,
    RecipeName,
    Seed,
    Set,
    Settings,
    TaskName,
    Unlabelled,
    Weights,
    With,
    Without,
    reads_data,
    takes_settings,
)
from whet.core.errors import RecipeError
from whet.core.language import tr

NAME = "train"


@reads_data
@takes_settings
def command(
    ctx: typer.Context,
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA)] = None,
    recipe: RecipeName = None,
    add: With = None,
    drop: Without = None,
    set_: Set = None,
    weights: Weights = None,
    architecture: Architecture = None,
    head: Head = None,
    task: TaskName = None,
    budget: Budget = None,
    *,
    settings: Settings,
    seed: Seed = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="What early_stopping or plateau watches: accuracy, macro_f1, log_loss.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    unlabelled: Unlabelled = None,
    reading: Reading,
    out: Out = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Resume this run, which was stopped or killed.",
            rich_help_panel=OUTPUT,
            autocompletion=complete.runs,
        ),
    ] = None,
    accept_changed_data: Annotated[
        bool,
        typer.Option("--accept-changed-data", help="Resume even if the data changed.", rich_help_panel=OUTPUT),
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="Also report to tensorboard, mlflow, wandb or trackio. Can be repeated.", rich_help_panel=OUTPUT
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Raise an error if a method has no effect.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model on your data and evaluate it on held-out samples."""
    from whet.core.output import require_claimable
    from whet.core.run_folder import RunFolder

    if resume is not None:  # checked before torch is imported
        _refuse_beside_resume(ctx)
        RunFolder.open(resume).require_free()
    elif out is not None:
        require_claimable(out, "run", data=[data])
    from rich.text import Text

    from whet import api, recipes
    from whet.cli.screen import observer, place, print_json, results, then
    from whet.core.process import process_began
    from whet.core.spec import DataSpec
    from whet.report import build_report
    from whet.report.text import part_name
    from whet.run import Run
    from whet.training.job import train_run

    started = process_began()  # the time of the imports counts towards the budget
    watch = observer(as_json)
    if resume is not None:
        finished = api.resume(resume, data, observer=watch, accept_changed_data=accept_changed_data)
    else:
        if data is None:
            raise RecipeError("no data given: whet train DATA, or whet train --resume RUN")
        spec = DataSpec(path=data, unlabelled=unlabelled, **reading)
        requested = api.build_recipe(
            spec, recipe, None, budget, weights=weights, architecture=architecture, head=head, task=task,
            seed=seed,
        )  # fmt: skip
        requested = recipes.change(
            requested, settings=tuple(set_ or ()), add=tuple(add or ()), drop=tuple(drop or ()), note=watch.note
        )
        requested = recipes.with_options(requested, metric=metric, **settings)
        folder = train_run(
            requested, out, observer=watch, track=track or (), strict=strict, started=started, report=build_report
        )
        finished = Run(folder)
    metrics = finished.metrics
    if as_json:
        print_json({"run": str(finished.path), "report": str(finished.folder.report), **metrics})
        return
    part = "test" if "test" in metrics else "val"
    result, screen = metrics[part], results()
    shown = tr("{n} {part!t} samples", n=result["samples"], part=part_name(part))
    found = finished.folder.task
    figure, what = found.summary(result, shown)
    beside = [f"{title} {value}" for title, value, _ in found.tiles(result)[:1]]
    total = tr("{s:.0f} s in total", s=metrics["cost"]["total_seconds"])
    screen.print(Text.assemble((figure, "bold green"), " " + tr(", ").join([what, *beside, total])))
    place(screen, tr("run"), finished.path)
    place(screen, tr("report"), finished.folder.report)
    then("predict", finished.path, "YOUR_SAMPLES")


def _refuse_beside_resume(ctx: typer.Context) -> None:
    """Raise an error for options that would change a resumed run. DATA gives the current location of its data."""
    given = [
        param.opts[0] if param.opts[0].startswith("-") else str(param.name)
        for param in ctx.command.params
        if param.name not in ("data", "resume", "accept_changed_data", "as_json", "language")
        and (source := ctx.get_parameter_source(str(param.name))) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise RecipeError(f"--resume continues a run with its original options; remove: {', '.join(given)}")
