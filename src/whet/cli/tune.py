"""whet tune"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    METRICS_HELP,
    Architecture,
    BatchSize,
    Device,
    Epochs,
    Head,
    ImageSize,
    Json,
    LearningRate,
    Out,
    Ray,
    Reading,
    TaskName,
    Unlabelled,
    Weights,
    budget_of,
    reads_data,
)
from whet.core.language import tr, tr_n, translated

NAME = "tune"


@reads_data
def command(
    data: Annotated[str, typer.Argument(help=DATA)],
    methods: Annotated[
        str | None,
        typer.Option(
            help="The methods whose settings to search: mixup,sgd,train. Default: all methods of the recipe, and train."
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting and its search range: KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C. Can be repeated."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The total time (30m, 2h) or the length of each run (6ep, 500st).")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="The number of trials. Default: as many as fit the budget, or 24.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help=METRICS_HELP)] = None,
    jobs: Annotated[int, typer.Option(min=1, help="The number of parallel runs, each in its own process.")] = 1,
    ray: Ray = None,
    recipe: Annotated[str | None, typer.Option(help="The recipe to tune. Default: the strong recipe.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    image_size: ImageSize = None,
    device: Device = None,
    weights: Weights = None,
    architecture: Architecture = None,
    head: Head = None,
    task: TaskName = None,
    *,
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
    base = recipes.with_options(base, batch_size=batch_size, lr=lr, image_size=image_size, device=device)
    wanted = [name.strip() for name in (methods or "").split(",") if name.strip()]
    found = tune(
        base, wanted, search or [], budget=budget_of(budget, epochs), trials=trials, metric=metric, jobs=jobs, ray=ray, out=out,
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
    settings = list(found.trials.columns[5:])
    done = found.trials[found.trials["state"] == "finished"].sort_values("score", ascending=chosen.smaller_is_better)
    rows = table(tr("trial"), translated(chosen.title), tr("time"), *settings, right=tuple(range(3 + len(settings))))
    for row in done.head(5).to_dict("records"):
        values = (f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in settings)
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
