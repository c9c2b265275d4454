"""whet tune"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    TRAINING,
    Architecture,
    Head,
    Jobs,
    Json,
    Metric,
    Out,
    Ray,
    Reading,
    RecipeName,
    Settings,
    TaskName,
    TotalBudget,
    Unlabelled,
    Weights,
    reads_data,
    takes_settings,
)
from whet.core.language import tr, tr_n, translated

NAME = "tune"


@reads_data
@takes_settings
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="The methods whose settings to search: mixup,sgd,train. Default: all methods of the recipe, and train.",
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RANGE",
            help="A setting and its search range: KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C. Can be repeated.",
        ),
    ] = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    architecture: Architecture = None,
    head: Head = None,
    task: TaskName = None,
    budget: TotalBudget = None,
    *,
    settings: Settings,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The number of trials. Default: as many as fit the budget, or 24.",
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
    """Tune the hyperparameters of a recipe, and confirm the best values with new seeds."""
    from dataclasses import asdict

    from rich.text import Text

    from whet.core.output import require_claimable

    if out is not None:  # checked before torch is imported and the data are read
        require_claimable(out, "tune", data=[data])
    from whet import api, recipes
    from whet.cli.screen import measured, observer, place, print_json, print_table, results, table, then
    from whet.core.spec import DataSpec
    from whet.core.task import metric_named
    from whet.report.text import seconds
    from whet.tuning.tune import tune

    base = api.build_recipe(
        DataSpec(path=data, unlabelled=unlabelled, **reading), recipe, weights=weights, architecture=architecture, head=head,
        task=task,
    )  # fmt: skip
    base = recipes.with_options(base, **settings)
    wanted = [name.strip() for name in (methods or "").split(",") if name.strip()]
    found = tune(
        base, wanted, search or [], budget=budget, trials=trials, metric=metric, jobs=jobs, ray=ray, out=out,
        observer=observer(as_json),
    )  # fmt: skip
    if as_json:
        print_json(
            {
                "path": str(found.path), "report": str(found.report), "trials": found.trials.to_dict("records"),
                "tuned": found.tuned.to_dict(), "recommended": found.recommended.to_dict(),
                "confirmed": asdict(found.confirmed) if found.confirmed else None,
            }
        )  # fmt: skip
        return
    screen, chosen = results(), metric_named(found.metric)
    searched = list(found.trials.columns[5:])
    done = found.trials[found.trials["state"] == "finished"].sort_values("score", ascending=chosen.smaller_is_better)
    rows = table(tr("trial"), translated(chosen.title), tr("time"), *searched, right=tuple(range(3 + len(searched))))
    for row in done.head(5 if screen.is_terminal else None).to_dict("records"):
        values = (f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in searched)
        rows.add_row(str(row["trial"]), chosen.text(row["score"]), seconds(row["seconds"]), *values)
    print_table(screen, rows)
    if (d := found.confirmed) is not None:
        screen.print(
            Text.assemble(
                "\n",
                tr_n(
                    "the tuned recipe compared with the original recipe, {n} new seed, {samples} samples: ",
                    "the tuned recipe compared with the original recipe, {n} new seeds, {samples} samples: ",
                    d.seeds,
                    samples=d.samples,
                ),
                *measured(chosen, d),
            )
        )
    kept = tr("the values of the best trial") if found.recommended == found.tuned != base else tr("unchanged")
    place(screen, tr("recipe"), found.path / "recommended.yaml", f"  ({kept})")
    place(screen, tr("report"), found.report)
    then("train", data, "--recipe", found.path / "recommended.yaml")
