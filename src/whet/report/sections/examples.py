"""Examples of each class: the most confident right and wrong predictions, and those of which the model is least sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import shown
from whet.report.text import part_name

_MARKUP = 400  # bytes of a sample besides its content


def context(folder: RunFolder, room: int) -> dict[str, Any] | None:
    """room: bytes. Classes that need more are left out, those that come last."""
    listing = folder.examples / "examples.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    classes = []
    for one in plain["classes"]:
        groups = {kind: [_tile(tile, folder.examples) for tile in one[kind]] for kind in ("right", "wrong", "unsure")}
        room -= sum(
            _MARKUP + len(tile["image"]) + len(tile["audio"]) + len(tile["text"])
            for tiles in groups.values()
            for tile in tiles
        )
        if room < 0:
            break
        classes.append({"name": one["name"], "groups": groups})
    if not classes:
        return None
    tiles = [tile for one in classes for group in one["groups"].values() for tile in group]
    return {
        "classes": classes,
        "left_out": plain["number"] - len(classes),
        "medium": "audio" if any(t["audio"] for t in tiles) else "text" if any(t["text"] for t in tiles) else "image",
        "part": part_name(plain["split"]),
    }


def _tile(tile: dict[str, Any], folder: Path) -> dict[str, Any]:
    return tile | shown(tile, folder)
