"""whet augment"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    OUTPUT,
    Force,
    Json,
    Reading,
    RecipeName,
    Seed,
    Set,
    With,
    Without,
    reads_data,
)
from whet.core.language import tr

NAME = "augment"


@reads_data
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    recipe: RecipeName = None,
    add: With = None,
    drop: Without = None,
    set_: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="The file to write. Images: .png, .jpg or .webp; texts and audio: .html. Default: sheet.png or sheet.html.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=1, max=100, help="The number of samples, taken from each class in turn.")
    ] = 6,
    variants: Annotated[int, typer.Option(min=1, max=20, help="The number of variants per sample.")] = 5,
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="The image size in pixels. Default: the recipe's size, or 224.")
    ] = None,
    seed: Seed = None,
    *,
    reading: Reading,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show samples before and after the augmentations of a recipe.

    Each is shown with the methods that changed it."""
    from whet import api, recipes
    from whet.cli.screen import observer, place, print_json, results, then
    from whet.core.errors import DataError, RecipeError
    from whet.core.output import claim_file
    from whet.core.spec import DataSpec

    requested = api.build_recipe(DataSpec(path=data, **reading), recipe, seed=seed)
    requested = recipes.change(
        requested, settings=tuple(set_ or ()), add=tuple(add or ()), drop=tuple(drop or ()), note=observer(as_json).note
    )
    accepted = (".png", ".jpg", ".jpeg", ".webp") if requested.medium == "image" else (".html",)
    out = out or Path(f"sheet{accepted[0]}")
    if out.suffix.lower() not in accepted:
        raise RecipeError(
            f"--out {out}: the name must end in {'.png, .jpg or .webp' if '.png' in accepted else '.html'}"
        )
    claim_file(out, inputs=[recipe] if recipe else [], data=data, force=force)
    sheet, listed = api.augment(requested, rows=rows, variants=variants, size=size)
    try:
        sheet.save(out)
    except OSError as error:
        raise DataError(f"--out {out} cannot be written: {error.strerror or error}") from None
    if as_json:
        print_json({"sheet": str(out), "rows": listed})
        return
    place(results(), tr("sheet"), out)
    then("train", data, *(("--recipe", recipe) if recipe else ()))
