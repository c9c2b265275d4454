"""whet improve"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import (
    DATA,
    METHODS,
    TRAINING,
    Architecture,
    Head,
    Jobs,
    Json,
    Metric,
    Out,
    Ray,
    Reading,
    Settings,
    TaskName,
    TotalBudget,
    Unlabelled,
    Weights,
    reads_data,
    takes_settings,
)
from whet.core.language import tr, tr_n

NAME = "improve"


@reads_data
@takes_settings
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    plain: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="The baseline recipe. Default: the plain recipe.",
            rich_help_panel=METHODS,
            autocompletion=complete.recipes,
        ),
    ] = None,
    strong: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="The recipe to compare with the baseline. Default: the strong recipe.",
            rich_help_panel=METHODS,
            autocompletion=complete.recipes,
        ),
    ] = None,
    studying: Annotated[
        bool | None,
        typer.Option(
            "--study/--no-study",
            help="First study the techniques of the strong recipe. Default: from 15m on.",
            rich_help_panel=METHODS,
        ),
    ] = None,
    tuning: Annotated[
        bool | None,
        typer.Option(
            "--tune/--no-tune",
            help="Tune the hyperparameters that matter. Default: from 1h on.",
            rich_help_panel=METHODS,
        ),
    ] = None,
    weights: Weights = None,
    architecture: Architecture = None,
    head: Head = None,
    task: TaskName = None,
    budget: TotalBudget = None,
    *,
    settings: Settings,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Runs per recipe. Default: 3; 5 if time remains; 1 below 30m.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    metric: Metric = None,
    jobs: Jobs = 1,
    ray: Ray = None,
    unlabelled: Unlabelled = None,
    reading: Reading,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find a better model, and report the gain with its interval: the main command.

    It checks the data, studies which techniques help, tunes, trains the plain, strong and improved recipes, and compares them."""
    from rich.text import Text

    from whet.core.output import require_claimable

    if out is not None:  # checked before torch is imported and the data are read
        require_claimable(out, "improve", data=[data])
    from whet.cli.screen import observer, place, print_json, results, show_effects, then
    from whet.core.spec import DataSpec
    from whet.core.task import metric_named
    from whet.improvement import improve

    found = improve(
        DataSpec(path=data, unlabelled=unlabelled, **reading), budget=budget, seeds=seeds,
        metric=metric, weights=weights, architecture=architecture, head=head, task=task,
        plain=plain, strong=strong, studying=studying, tuning=tuning, jobs=jobs, ray=ray, out=out,
        observer=observer(as_json), **settings,
    )  # fmt: skip
    d = found.difference
    if as_json:
        values = {
            "mean": d.mean,
            "low": d.low,
            "high": d.high,
            "p": d.p,
            "seeds": d.seeds,
            "samples": d.samples,
            "verdict": d.verdict,
        }
        print_json(
            {
                "path": str(found.path), "values": found.values, "recommended": found.recommended, "metric": found.metric,
                "effects": found.study.effects.to_dict("records") if found.study else None, "difference": values,
                "best_run": str(found.best_run), "report": str(found.report),
            }
        )  # fmt: skip
        return
    screen = results()
    if found.study is not None:
        show_effects(screen, found.study.effects, found.metric)
    colour = {"helps": "green", "hurts": "red"}.get(d.verdict, "yellow")
    screen.print(
        Text.assemble(
            "\n",
            tr(
                "plain {plain:.1f} %  →  {name!t} {recommended:.1f} %: ",
                plain=100 * found.values["plain"],
                name=found.recommended,
                recommended=100 * found.values[found.recommended],
            ),
            (tr("{mean:+.1f} percentage points", mean=100 * d.mean), f"bold {colour}"),
            tr_n(
                " of {metric!t} (95 % interval {low:+.1f} to {high:+.1f}; {samples} test samples, {n} seed): {verdict!t}",
                " of {metric!t} (95 % interval {low:+.1f} to {high:+.1f}; {samples} test samples, {n} seeds): {verdict!t}",
                d.seeds,
                metric=metric_named(found.metric).title,
                low=100 * d.low,
                high=100 * d.high,
                samples=d.samples,
                verdict=d.verdict,
            ),
        )
    )
    place(screen, tr("best"), found.best_run)
    place(screen, tr("report"), found.report)
    then("predict", found.best_run, "YOUR_SAMPLES")
