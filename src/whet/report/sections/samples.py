"""Inputs of the model: training samples and their augmented and mixed variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.core.language import tr
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.report.images import shown
from whet.report.preview_page import caption


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.samples / "samples.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    return of_rows(plain["rows"], folder.samples, Recipe.load(folder.recipe))


def of_rows(records: list[dict[str, Any]], folder: Path, recipe: Recipe) -> dict[str, Any]:
    """The context for the rows of a preview, whose samples are saved in `folder`."""
    rows = []
    for row in records:
        captions = [
            caption(list(v["target"].items()), v["methods"], row["label"], tr("unchanged")) for v in row["variants"]
        ]
        words = [row["label"], *(" ".join(several) for several in captions)]
        tiles = (row["original"], *row["variants"])
        rows.append([{**shown(tile, folder), "caption": text} for tile, text in zip(tiles, words)])
    acting = [m.name for m in recipe.methods if {"sample", "batch"} & {s.value for s in m.stages()}]
    return {"rows": rows, "variants": len(records[0]["variants"]), "methods": acting}
