"""whet weights"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import Json
from whet.core.language import tr

NAME = "weights"


def command(
    speed: Annotated[
        bool, typer.Option(help="Measure the speed of each network on this machine, about a second for each.")
    ] = True,
    as_json: Json = False,
) -> None:
    """List the networks to start from: what each needs, its licence, size, accuracy, and speed on this machine."""
    from dataclasses import asdict

    from whet.cli.screen import print_json, print_table, results, table, talk
    from whet.weights import list_weights

    if speed and not as_json:
        talk().print(tr("measuring the speed of each network"))
    found = list_weights(speed=speed)
    if as_json:
        print_json([asdict(start) for start in found])
        return
    names = (tr("network"), tr("for"), tr("starts from"), tr("licence"), "MB", "ImageNet %", tr("million parameters"))
    rows = table(*names, *([tr("per second")] if speed else []), tr("needs"), right=(4, 5, 6, *([7] if speed else [])))
    for start in found:
        rows.add_row(
            start.name,
            start.medium,
            tr("pretrained weights") if start.pretrained else tr("your data alone"),
            start.licence,
            _number(start.megabytes, 0),
            _number(start.top1, 1),
            _number(start.parameters, 2),
            *([_number(start.per_second, 0)] if speed else []),
            start.needs,
        )
    print_table(results(), rows)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
