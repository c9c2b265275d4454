"""whet compress"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli import complete
from whet.cli.options import Json
from whet.core.errors import RecipeError
from whet.core.language import tr, translated

if TYPE_CHECKING:
    from whet.compressing.compress import Compression

NAME = "compress"


def command(
    run: Annotated[Path, typer.Argument(help="A finished run folder.", autocompletion=complete.runs)],
    out: Annotated[Path, typer.Option(help="The folder to write: new, or that of a stopped call, which goes on.")],
    target: Annotated[
        str | None,
        typer.Option(
            help="latency=3ms (one sample, one thread) or size=2MB: the best model within it becomes a bundle."
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The budget of each training: 5m, 10ep or 500st. Default: that of the run.")
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            help="Shares of the channels to remove, each trained; none for none. Default for images, masks and audio: 0.3,0.5,0.7."
        ),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(help="A smaller architecture to teach, with @PIXELS for the size of its images. Can be repeated."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where the data of the run are now, if they were moved since it was trained.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try smaller models in place of a run's: what each costs, the best for a target.

    Tried are int8, low rank, fewer channels, and other networks taught by the run, also combined with int8."""
    from whet.cli.screen import observer, print_json
    from whet.compressing.compress import compress

    found = compress(
        run, out, target=target, budget=budget, shares=_shares(prune), students=student or (), data=data,
        observer=observer(as_json),
    )  # fmt: skip
    if as_json:
        keys = ("rows", "failed", "chosen", "test", "metric")
        print_json({**{key: getattr(found, key) for key in keys}, "bundle": found.bundle and str(found.bundle)})
    else:
        _show(found, target)
    if target is not None and found.chosen is None:
        raise typer.Exit(1)


def _shares(text: str | None) -> list[float] | None:
    if text is None:
        return None
    if text == "none":
        return []
    try:
        found = [float(one) for one in text.split(",")]
    except ValueError:
        found = [0.0]
    if not all(0 < one < 1 for one in found):
        raise RecipeError(f"--prune {text}; accepted: shares between 0 and 1 with commas, such as 0.3,0.5, or none")
    return found


def _show(found: Compression, target: str | None) -> None:
    from whet.cli.screen import place, print_table, results, table, then

    screen = results()
    rows = table(tr("model"), translated(found.metric), tr("cost, percentage points"), "ms", "MB", right=(1, 2, 3, 4))
    for row in found.rows:
        cost = f"{100 * row['cost']:+.1f} ({100 * row['low']:+.1f} … {100 * row['high']:+.1f})"
        mark = " ←" if row["name"] == found.chosen else ""
        rows.add_row(
            row["name"] + mark,
            f"{100 * row['value']:.1f} %",
            cost,
            f"{row['milliseconds']:.2f}",
            f"{row['bytes'] / 1e6:.2f}",
        )
    print_table(screen, rows)
    for name, reason in found.failed.items():
        screen.print(tr("{name} is left out: {why!t}", name=name, why=reason), style="dim")
    if found.test is not None:
        test = found.test
        screen.print(
            tr(
                "{name}: {before:.1f} -> {after:.1f} % on {n:,} {split} samples; it costs {cost:+.1f} points "
                "({low:+.1f} to {high:+.1f})",
                name=found.chosen, before=100 * test["before"], after=100 * test["after"], n=test["samples"],
                split=test["split"], cost=100 * test["cost"], low=100 * test["low"], high=100 * test["high"],
            )
        )  # fmt: skip
    elif target is not None:
        screen.print(tr("no model reaches {target}", target=target), style="yellow")
    place(screen, tr("page"), found.report)
    if found.bundle is not None:
        place(screen, tr("bundle"), found.bundle)
        then("serve", found.bundle)
