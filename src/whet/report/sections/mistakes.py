"""The most confident mistakes with explanations. They often show label errors and ambiguous samples."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import shown
from whet.report.text import part_name


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.mistakes / "mistakes.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    tiles = [entry | shown(entry, folder.mistakes) for entry in plain["shown"]]
    why = "words" if any(tile["pieces"] for tile in tiles) else "heat" if any(tile["heat"] for tile in tiles) else ""
    medium = (
        "audio" if any(tile["audio"] for tile in tiles) else "text" if any(tile["text"] for tile in tiles) else "image"
    )
    part = part_name(plain["split"])
    return {"shown": tiles, "wrong": plain["wrong"], "part": part, "why": why, "medium": medium}
