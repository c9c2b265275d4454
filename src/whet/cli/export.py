"""whet export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json
from whet.core.language import tr

NAME = "export"


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
    data: Annotated[
        str | None, typer.Option(help="Where the data of the run are now, if they were moved since it was trained.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export the model of a run: an ONNX file, checked against the run, with a script that predicts without whet."""
    from whet.cli.screen import observer, place, print_json, results, talk, then
    from whet.core.task import task_named
    from whet.exporting.export import export

    bundle = export(run, out, unsure_below=unsure, golden=golden, data=data, observer=observer(as_json))
    info = bundle.info
    if as_json:
        print_json({"bundle": str(bundle.path), **info["metrics"], "parity": info["parity"]})
        return
    parity, metrics, screen = info["parity"], info["metrics"], results()
    metric = task_named(info["task"]).metrics[parity["metric"]]
    shown = {key: metric.shown(metrics[key][parity["metric"]]) for key in ("exported", "recorded")}
    screen.print(
        tr(
            "{metric!t} on {samples:,} samples: {exported} exported (fp32), {recorded} recorded ({precision})",
            metric=metric.title, samples=parity["samples"], precision=metrics["recorded"]["dtype"], **shown,
        )
    )  # fmt: skip
    screen.print(
        tr(
            "scores of {n} samples differ from torch in single precision by at most {most:.2g}; {ms:.1f} ms per sample",
            n=parity["compared"], most=parity["largest_difference"], ms=1e3 * parity["seconds_per_sample"],
        )
    )  # fmt: skip
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
