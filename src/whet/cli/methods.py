"""whet methods"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli import complete
from whet.cli.options import Json
from whet.core.language import tr

NAME = "methods"


def command(
    name: Annotated[
        str | None, typer.Argument(help="The method whose card to print.", autocompletion=complete.methods)
    ] = None,
    recipes: Annotated[bool, typer.Option("--recipes", help="List the shipped recipes instead.")] = False,
    as_json: Json = False,
) -> None:
    """List all methods, or print the card of one: purpose, source, settings."""
    from dataclasses import asdict

    from whet import recipes as shipped
    from whet.cli.screen import print_json, print_table, results, show_card, table, then
    from whet.core.card import card
    from whet.core.registry import registry

    screen = results()
    if recipes:
        if as_json:
            print_json({recipe: shipped.load(recipe).to_dict() for recipe in shipped.names()})
            return
        for recipe in shipped.names():
            screen.print(f"{recipe}  {', '.join(method.name for method in shipped.load(recipe).methods)}")
        return
    if name is not None:
        found = card(registry().get(name))
        if as_json:
            print_json(asdict(found))
        else:
            show_card(screen, found.to_markdown())
        return
    cards = [card(cls) for cls in registry()]
    if as_json:
        print_json([asdict(found) for found in cards])
        return
    rows = table(tr("method"), tr("family"), tr("acts at"), tr("what it does"))
    for found in sorted(cards, key=lambda c: (c.family, c.name)):
        rows.add_row(found.name, found.family, " + ".join(found.stages), found.summary)
    print_table(screen, rows)
    then("methods", "NAME")
