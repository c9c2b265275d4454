"""whet export"""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from whet.cli import complete
from whet.cli.options import Json
from whet.core.language import tr

NAME = "export"
_OF_PAGES = {"--packages", "--single-file"}


class Target(StrEnum):
    BUNDLE = "bundle"
    WEB = "web"


class Quantize(StrEnum):
    INT8 = "int8"
    STATIC = "static"
    DYNAMIC = "dynamic"


def command(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(help="A finished run folder; with --to web, a bundle as well.", autocompletion=complete.runs),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write: new or empty. With --single-file, the HTML file.")],
    to: Annotated[
        Target,
        typer.Option(help="bundle: files for whet serve and for Python. web: a page that predicts in the browser."),
    ] = Target.BUNDLE,
    unsure: Annotated[
        float, typer.Option(min=0, max=1, help="Mark predictions with a lower confidence as unsure.")
    ] = 0.5,
    golden: Annotated[
        int,
        typer.Option(
            min=0, help="How many samples of the data are put into the folder, so that it can be checked later."
        ),
    ] = 4,
    packages: Annotated[
        Path,
        typer.Option(
            help="With --to web: the folder that holds the npm package onnxruntime-web, as npm pack writes it."
        ),
    ] = Path("."),
    single_file: Annotated[
        bool,
        typer.Option("--single-file", help="With --to web: write one HTML file, which also works without a server."),
    ] = False,
    data: Annotated[
        str | None, typer.Option(help="Where the data of the run are now, if they were moved since it was trained.")
    ] = None,
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
    """Export the model of a run as ONNX, with a script that predicts without whet.

    The exported model is checked against the run."""
    from whet.cli.screen import hint, observer, place, print_json, results, talk, then
    from whet.core.task import task_named
    from whet.exporting.export import export
    from whet.exporting.page import export_page, is_bundle

    _require_fitting(context, to, to == Target.WEB and is_bundle(run))
    options: dict[str, Any] = {"unsure_below": unsure, "golden": golden, "data": data, "observer": observer(as_json)}
    options |= {"methods": _methods(run, quantize, low_rank), "tolerance": tolerance}
    if to == Target.WEB:
        bundle, written = export_page(run, out, packages, single_file=single_file, **options)
    else:
        bundle = export(run, out, **options)
        written = bundle.path
    info = bundle.info
    if as_json:
        key = "bundle" if to == Target.BUNDLE else "page"
        print_json({key: str(written), **info["metrics"], "parity": info["parity"], "compression": info["compression"]})
        return
    parity, metrics, screen = info["parity"], info["metrics"], results()
    metric = task_named(info["task"]).metrics[parity["metric"]]
    shown = {key: metric.shown(metrics[key][parity["metric"]]) for key in ("exported", "recorded")}
    screen.print(
        tr(
            "{metric!t} on {samples:,} samples: {exported} exported ({now}), {recorded} recorded ({precision})",
            metric=metric.title, samples=parity["samples"], now=metrics["exported"]["dtype"],
            precision=metrics["recorded"]["dtype"], **shown,
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
    if to == Target.BUNDLE:
        place(screen, tr("bundle"), written)
        then("serve", written)
        return
    place(screen, tr("page"), written)
    if not single_file:
        hint(talk(), tr("next"), f"python -m http.server --bind 127.0.0.1 --directory {shlex.quote(str(out))}")


def _require_fitting(context: typer.Context, to: Target, finished: bool) -> None:
    """Raise RecipeError for an option of another target, or of the export of a run where it is finished."""
    from whet.core.errors import RecipeError

    given = {
        option.opts[0]
        for option in context.command.params
        if getattr(context.get_parameter_source(option.name or ""), "name", "") == "COMMANDLINE"
    }
    if to == Target.BUNDLE and (wrong := given & _OF_PAGES):
        raise RecipeError(f"{min(wrong)} belongs to --to web")
    if finished and (wrong := given - _OF_PAGES - {"run", "--out", "--to", "--json", "--language"}):
        raise RecipeError(f"{min(wrong)} belongs to the export of a run; this bundle is exported already")


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


def _methods(run: Path, quantize: Quantize | None, low_rank: float | None) -> tuple[Any, ...]:
    """The methods that make the exported model smaller."""
    from whet.core.recipe import Recipe, parse_methods
    from whet.core.run_folder import RunFolder
    from whet.exporting.compression import quantizer_of

    wanted: list[Any] = [{"low_rank": {"energy": low_rank}}] if low_rank is not None else []
    if quantize is not None:
        recipe = Recipe.load(RunFolder.open(run).recipe)
        wanted.append(f"quantize_{quantize}" if quantize != Quantize.INT8 else quantizer_of(recipe))
    return parse_methods(wanted)
