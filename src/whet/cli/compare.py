"""whet compare"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli import complete
from whet.cli.options import (
    DATA,
    METRICS_HELP,
    TRAINING,
    Budget,
    Head,
    Json,
    Out,
    Reading,
    RecipeName,
    Settings,
    TaskName,
    Weights,
    option_of,
    reads_data,
    takes_settings,
)
from whet.core.errors import RecipeError
from whet.core.language import tr, translated

if TYPE_CHECKING:
    from whet.core.evidence import Metric
    from whet.evaluate.compare import Group

NAME = "compare"


@reads_data
@takes_settings
def command(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN… | DATA",
            autocompletion=complete.runs,
            help=f"Finished runs; the recipe of the first one is the reference. With --architectures: {DATA}",
        ),
    ],
    architectures: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Train these architectures on DATA and compare them: built-in ones (lenet,resnet18,…), hub names, local folders.",
        ),
    ] = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    head: Head = None,
    task: TaskName = None,
    budget: Budget = None,
    *,
    settings: Settings,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The number of runs per architecture. Default: 1.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    reading: Reading,
    out: Out = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC", autocompletion=complete.metrics, help=f"The metric for finished runs. {METRICS_HELP}"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs or architectures: difference, 95 % interval, verdict.

    Runs of one recipe with different seeds form one group. A group with fewer than three seeds gets no verdict."""
    from whet.core.spec import DataSpec

    if architectures is not None:
        if len(given) != 1:
            raise RecipeError(f"--architectures trains on one DATA; got {len(given)}: {', '.join(given)}")
        if metric is not None:
            raise RecipeError(
                f"--metric {metric} applies to finished runs; architectures are compared by the first metric of the task"
            )
        names = [name.strip() for name in architectures.split(",") if name.strip()]
        _compare_architectures(
            names, as_json, data=DataSpec(path=given[0], **reading), budget=budget, weights=weights,
            seeds=seeds or 1, head=head, task=task, recipe=recipe,
            out=out, **settings,
        )  # fmt: skip
        return
    beside = {
        "--budget or --epochs": budget, "--weights": weights, "--seeds": seeds, "--recipe": recipe, "--out": out,
        "--head": head, "--task": task,
        **{option_of(key): value for key, value in (settings | reading).items()},
    }  # fmt: skip
    wrong = [name for name, value in beside.items() if value]
    if wrong:
        raise RecipeError(f"{', '.join(wrong)} requires --architectures; it has no effect on finished runs")
    _compare_runs(given, metric, as_json)


def _compare_architectures(names: list[str], as_json: bool, **options: Any) -> None:
    from rich.text import Text

    from whet.architectures import compare_architectures
    from whet.cli.screen import observer, place, print_json, print_table, results, table, then
    from whet.report.text import between, memory, percent, points, seconds

    found = compare_architectures(architectures=names, observer=observer(as_json), **options)
    if as_json:
        print_json(
            {"path": str(found.path), "best": found.best, "architectures": found.rows, "report": str(found.report)}
        )
    else:
        screen = results()
        rows = table(
            tr("architecture"), translated(found.metric or ""), tr("95 % interval"), tr("difference from best"), tr("parameters"),
            tr("training"), tr("inference"), tr("memory"),
            right=(1, 2, 3, 4, 5, 6, 7),
        )  # fmt: skip
        rows.columns[0].no_wrap = True
        for row in sorted((row for row in found.rows if row["runs"]), key=lambda row: -row["value"]):
            d = row["difference"]
            rows.add_row(
                row["name"], percent(row["value"]), between(f"{100 * row['low']:.1f}", f"{100 * row['high']:.1f}"),
                f"{points(d['mean'])} ({between(points(d['low']), points(d['high']))})" if d else "",
                f"{row['parameters'] / 1e6:.3g} M", seconds(row["train_seconds"]), seconds(row["seconds_per_sample"]),
                memory(row["peak_memory_mib"]),
            )  # fmt: skip
        if found.best is not None:
            print_table(screen, rows)
            screen.print(
                "\n"
                + tr(
                    "best: {name}, by {metric!t} on validation samples; paired differences in percentage points",
                    name=found.best,
                    metric=found.chosen_by or "",
                ),
                style="dim",
            )
        for row in found.rows:
            for run, reason in row["failed"].items():
                screen.print(Text.assemble((tr("failed"), "red"), f"  {run}: {reason}"))
        place(screen, tr("report"), found.report)
        if found.best_run is not None:
            then("predict", found.best_run, "YOUR_SAMPLES")
    if found.best is None:
        raise typer.Exit(1)


def _compare_runs(runs: list[str], asked: str | None, as_json: bool) -> None:
    from whet.cli.screen import print_json, print_table, results, table
    from whet.core.run_folder import RunFolder
    from whet.evaluate.compare import compare_runs
    from whet.report.text import between, seconds, unit_of

    reference, found, samples = compare_runs([RunFolder.open(run) for run in runs], asked)
    metric = reference.metric
    if as_json:
        print_json(
            {
                "samples": samples,
                "part": reference.part,
                "left_out": reference.left_out,
                "metric": metric,
                "reference": {"name": reference.name, "seeds": reference.seeds, metric: reference.value_S.tolist()},
                "comparisons": [
                    {
                        "name": c.group.name, "seeds": c.group.seeds, metric: c.group.value_S.tolist(),
                        "difference": c.difference.mean, "low": c.difference.low, "high": c.difference.high,
                        "p": c.difference.p, "p_holm": c.p_holm, "chance_to_help": c.difference.chance_to_help,
                        "method": c.difference.method, "verdict": c.verdict,
                        "mcnemar": c.mcnemar,
                    }
                    for c in found
                ],
            }
        )  # fmt: skip
        return
    screen, compared = results(), reference.evidence[0].task.metric(metric)
    rows = table(
        tr("recipe"),
        tr("seeds"),
        translated(compared.title),
        tr("difference"),
        tr("95 % interval"),
        "p" if len(found) == 1 else tr("p (Holm)"),
        tr("verdict"),
        tr("training"),
        right=(1, 2, 3, 4, 5, 7),
    )
    rows.add_row(
        reference.name,
        str(len(reference.seeds)),
        _values(reference, compared),
        "",
        "",
        "",
        tr("reference"),
        seconds(reference.seconds),
    )
    for c in found:
        d = c.difference
        rows.add_row(
            c.group.name, str(len(c.group.seeds)), _values(c.group, compared), compared.text(d.mean, "+"),
            between(compared.text(d.low, "+"), compared.text(d.high, "+")), f"{c.p_holm:.2g}",
            translated(c.verdict), seconds(c.group.seconds),
        )  # fmt: skip
    print_table(screen, rows)
    notes = [
        tr("paired on the same {samples!t}", samples=reference.samples_text),
        translated(found[0].difference.method),
        tr("differences in {unit}", unit=unit_of(compared)),
        *([tr("smaller is better")] if compared.smaller_is_better else []),
    ]
    screen.print("\n" + tr("; ").join(notes), style="dim")
    for c in found:
        if c.mcnemar is not None:
            corrected, lost, p = c.mcnemar
            screen.print(
                tr(
                    "{name}: {better} samples became correct and {worse} became wrong (McNemar's exact test, p = "
                    "{p:.2g}) for "
                    "these two models; one seed gets no verdict, because another seed may reverse the difference",
                    name=c.group.name,
                    better=corrected,
                    worse=lost,
                    p=p,
                ),
                style="dim",
            )


def _values(group: Group, metric: Metric) -> str:
    """The mean and standard deviation over seeds."""
    spread = f" ± {metric.text(group.value_S.std(ddof=1))}" if len(group.seeds) > 1 else ""
    return f"{metric.text(group.value_S.mean())}{spread}{' %' if metric.is_share else ''}"
