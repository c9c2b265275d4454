"""whet augment"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import (
    DATA,
    Force,
    Json,
    Reading,
    reads_data,
)
from whet.core.language import tr

NAME = "augment"


@reads_data
def command(
    data: Annotated[str, typer.Argument(help=DATA)],
    recipe: Annotated[
        str | None, typer.Option(help="A recipe file or a shipped recipe. Default: the same as for whet train.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write. Images: .png, .jpg or .webp; texts and audio: .html. Default: sheet.png or sheet.html."
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=1, max=100, help="The number of samples, taken from each class in turn.")
    ] = 6,
    variants: Annotated[int, typer.Option(min=1, max=20, help="The number of variants per sample.")] = 5,
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="The image size in pixels. Default: the recipe's size, or 224.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The random seed.")] = None,
    add: Annotated[list[str] | None, typer.Option("--with", help="Add a method to the recipe.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--without", help="Remove a method from the recipe.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the recipe: mixup.alpha=0.4, rotate.max_degrees=30, …"),
    ] = None,
    *,
    reading: Reading,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show your samples before and after the augmentations of a recipe, with the methods that changed each one."""
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
