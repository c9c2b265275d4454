"""whet study"""

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
from whet.core.errors import RecipeError
from whet.core.language import tr, tr_n

NAME = "study"


@reads_data
@takes_settings
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="The methods to measure: mixup,cutmix,…. Default: every method of the recipe."
        ),
    ] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACTOR",
            help="A setting at two levels, KEY=LOW:HIGH, such as train.image_size=160:224. Can be repeated.",
        ),
    ] = None,
    design: Annotated[
        str,
        typer.Option(
            metavar="DESIGN",
            help="screen (all at once), ablate (remove one at a time), add (add one at a time), factorial (with interactions).",
        ),
    ] = "screen",
    recipe: RecipeName = None,
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
            help="The number of seeds per design point. Default: three or more.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    metric: Metric = None,
    smaller: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=TRAINING,
            help="Train the runs of the design on smaller images, such as 60%; the confirmation uses the recipe's image size.",
        ),
    ] = None,
    jobs: Jobs = 1,
    ray: Ray = None,
    unlabelled: Unlabelled = None,
    reading: Reading,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Measure which techniques help on your data, by how much, and at which cost."""
    from dataclasses import asdict

    from rich.text import Text

    from whet.core.output import require_claimable

    if out is not None:  # checked before torch is imported and the data are read
        require_claimable(out, "study", data=[data])
    from whet import api, recipes
    from whet.cli.screen import measured, observer, place, print_json, results, show_effects, then
    from whet.core.spec import DataSpec
    from whet.core.task import metric_named
    from whet.report.text import part_name
    from whet.studies.study import study

    base = api.build_recipe(
        DataSpec(path=data, unlabelled=unlabelled, **reading), recipe, weights=weights, architecture=architecture, head=head,
        task=task,
    )  # fmt: skip
    base = recipes.with_options(base, **settings)
    wanted = [name.strip() for name in (methods or "").split(",") if name.strip()]
    found = study(
        base,
        [*wanted, *(factor or [])],
        design=design,
        budget=budget,
        seeds=seeds,
        metric=metric,
        smaller=_share(smaller),
        jobs=jobs,
        ray=ray,
        out=out,
        observer=observer(as_json),
    )
    if as_json:
        print_json(
            {
                "path": str(found.path), "report": str(found.report), "effects": found.effects.to_dict("records"),
                "recommended": found.recommended.to_dict(), "confirmed": asdict(found.confirmed) if found.confirmed else None,
            }
        )  # fmt: skip
        return
    screen, chosen = results(), metric_named(found.metric)
    show_effects(screen, found.effects, found.metric)
    if (d := found.confirmed) is not None:
        screen.print(
            Text.assemble(
                "\n",
                tr_n(
                    "the proposed recipe compared with the original recipe, {n} new seed, {samples} {part!t} samples: ",
                    "the proposed recipe compared with the original recipe, {n} new seeds, {samples} {part!t} samples: ",
                    d.seeds,
                    samples=d.samples,
                    part=part_name(found.part),
                ),
                *measured(chosen, d),
            )
        )
    place(screen, tr("recipe"), found.path / "recommended.yaml")
    place(screen, tr("report"), found.report)
    then("train", data, "--recipe", found.path / "recommended.yaml")


def _share(text: str | None) -> float:
    """ "60%" -> 0.6."""
    if text is None:
        return 1.0
    number = text.strip().removesuffix("%")
    if not text.strip().endswith("%") or not number.isdigit() or not 0 < int(number) <= 100:
        raise RecipeError(f"--smaller {text}: accepted: a percentage of the image size from 1% to 100%, such as 60%")
    return int(number) / 100
