"""whet improve"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    Architecture,
    BatchSize,
    Device,
    Epochs,
    ImageSize,
    Json,
    LearningRate,
    Out,
    Ray,
    Reading,
    Weights,
    budget_of,
    reads_data,
)  # fmt: skip

NAME = "improve"


@reads_data
def command(
    data: Annotated[str, typer.Argument(help=DATA)],
    budget: Annotated[str | None, typer.Option(help="For everything: 20m, 1h; or for each run: 20ep, 500st.")] = None,
    epochs: Epochs = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs of each recipe; by default 3, up to 5 where runs end before the time, or 1 under half an hour.",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="What all is chosen and compared by: accuracy, macro_f1, worst_class, …")
    ] = "accuracy",
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    image_size: ImageSize = None,
    device: Device = None,
    weights: Weights = None,
    architecture: Architecture = None,
    plain: Annotated[str | None, typer.Option(help="The recipe to start from; by default the plain one.")] = None,
    strong: Annotated[
        str | None, typer.Option(help="The recipe to compare with it; by default the strong one.")
    ] = None,
    studying: Annotated[
        bool | None,
        typer.Option("--study/--no-study", help="Study the strong recipe's techniques first; by default from 15m on."),
    ] = None,
    tuning: Annotated[
        bool | None,
        typer.Option("--tune/--no-tune", help="Search better values of what matters; by default from 1h on."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each in a process of its own.")] = 1,
    ray: Ray = None,
    *,
    reading: Reading,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Check the data, find out which techniques help, train the plain recipe, the strong one and what came of it, and say what
    was gained, with an interval: the main job."""
    from rich.text import Text

    from whet.core.output import require_claimable

    if out is not None:  # refused before torch is loaded and the data are read
        require_claimable(out, "improve", data=[data])
    from whet.cli.screen import observer, place, print_json, results, show_effects, then
    from whet.core.spec import DataSpec
    from whet.improvement import improve

    found = improve(
        DataSpec(path=data, **reading), budget=budget_of(budget, epochs), seeds=seeds,
        metric=metric, weights=weights, architecture=architecture,
        plain=plain, strong=strong, studying=studying, tuning=tuning, jobs=jobs, ray=ray, out=out,
        observer=observer(as_json), batch_size=batch_size, lr=lr, image_size=image_size, device=device,
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
                "path": str(found.path), "accuracies": found.accuracies, "answer": found.answer, "metric": found.metric,
                "effects": found.study.effects.to_dict("records") if found.study else None, "difference": values,
                "best_run": str(found.best_run), "report": str(found.report),
            }
        )  # fmt: skip
        return
    screen = results()
    if found.study is not None:
        show_effects(screen, found.study.effects, metric)
    colour = {"helps": "green", "hurts": "red"}.get(d.verdict, "yellow")
    screen.print(
        Text.assemble(
            f"\nplain {100 * found.accuracies['plain']:.1f} %  →  {found.answer} "
            f"{100 * found.accuracies[found.answer]:.1f} %: ",
            (f"{100 * d.mean:+.1f} points", f"bold {colour}"),
            f" of {metric.replace('_', ' ')} (95 % interval {100 * d.low:+.1f} to {100 * d.high:+.1f}; "
            f"{d.samples} test samples, {d.seeds} {'seed' if d.seeds == 1 else 'seeds'}): {d.verdict}",
        )
    )
    place(screen, "best", found.best_run)
    place(screen, "report", found.report)
    then("predict", found.best_run, "YOUR_SAMPLES")
