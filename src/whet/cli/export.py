"""whet export"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from whet.cli.options import Json
from whet.core.language import tr

NAME = "export"


class Quantize(StrEnum):
    INT8 = "int8"
    STATIC = "static"
    DYNAMIC = "dynamic"


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    out: Annotated[Path, typer.Option(help="The folder to write: new or empty.")],
    unsure: Annotated[
        float, typer.Option(min=0, max=1, help="Mark predictions with a lower confidence as unsure.")
    ] = 0.5,
    golden: Annotated[
        int,
        typer.Option(
            min=0, help="How many samples of the data are put into the folder, so that it can be checked later."
        ),
    ] = 4,
    quantize: Annotated[
        Quantize | None,
        typer.Option(
            help="Store the model in 8-bit integers: smaller, and faster on a CPU. int8 takes what suits the medium."
        ),
    ] = None,
    low_rank: Annotated[
        float | None,
        typer.Option(min=0.5, max=1, help="Split large layers in two thinner ones that keep this share of the energy."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage points that these may cost; otherwise they are undone.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Export the model of a run: an ONNX file, checked against the run, with a script that predicts without whet."""
    from whet.cli.screen import observer, place, print_json, results, talk, then
    from whet.core.recipe import parse_methods
    from whet.core.task import task_named
    from whet.exporting.export import export, int8_for

    wanted: list[Any] = [{"low_rank": {"energy": low_rank}}] if low_rank is not None else []
    if quantize is not None:
        wanted.append(f"quantize_{quantize}" if quantize != Quantize.INT8 else int8_for(run))
    methods = parse_methods(wanted)
    bundle = export(
        run, out, methods=methods, tolerance=tolerance, unsure_below=unsure, golden=golden, observer=observer(as_json)
    )
    info = bundle.info
    if as_json:
        print_json(
            {
                "bundle": str(bundle.path),
                **info["metrics"],
                "parity": info["parity"],
                "compression": info["compression"],
            }
        )
        return
    parity, metrics, screen = info["parity"], info["metrics"], results()
    metric = task_named(info["task"]).metrics[parity["metric"]]
    shown = {key: metric.shown(metrics[key][parity["metric"]]) for key in ("exported", "recorded")}
    screen.print(
        tr(
            "{metric!t} on {samples:,} samples: {exported} exported ({now}), {recorded} recorded ({precision})",
            metric=metric.title, samples=parity["samples"], now=metrics["exported"]["precision"],
            precision=metrics["recorded"]["precision"], **shown,
        )
    )  # fmt: skip
    screen.print(
        tr(
            "scores of {n} samples differ from torch in single precision by at most {most:.2g}; {ms:.1f} ms per sample",
            n=parity["compared"], most=parity["largest_difference"], ms=1e3 * parity["seconds_per_sample"],
        )
    )  # fmt: skip
    for entry in info["compression"]:
        screen.print(_line(entry, metric))
    if info["golden"]:
        talk().print(
            tr(
                "the folder holds {n} samples of your data, for later checks; --golden 0 leaves them out",
                n=len(info["golden"]),
            ),
            style="dim",
        )
    place(screen, tr("bundle"), bundle.path)
    then("serve", bundle.path)


def _line(entry: dict[str, Any], metric: Any) -> str:
    """What a method that makes the model smaller cost and gained, or why it was undone."""
    name = ", ".join(entry["method"])
    if "undone" in entry:
        return tr("{name} was undone: {why!t}", name=name, why=entry["undone"])
    if "bytes" not in entry:
        return tr("{name}: {before:,} -> {after:,} parameters", name=name, **entry["parameters"])
    cost, size, ms = entry["cost"], entry["bytes"], entry["milliseconds"]
    return tr(
        "{name}: {words!t}; costs {cost} points of {metric!t} ({low} to {high}); {before:.1f} -> {after:.1f} ms a sample, "
        "{large:.1f} -> {small:.1f} MB",
        name=name, words=entry["words"], metric=metric.title, cost=metric.text(cost["mean"], "+"),
        low=metric.text(cost["low"], "+"), high=metric.text(cost["high"], "+"), **ms,
        large=size["before"] / 1e6, small=size["after"] / 1e6,
    )  # fmt: skip
