"""The pictures that were wrong with the most confidence: bad labels and true confusions show here first."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import inline_jpeg


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.mistakes / "mistakes.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    shown = [
        {**entry, "image": inline_jpeg(folder.mistakes / f"{number}.jpg")}
        for number, entry in enumerate(plain["shown"])
    ]
    return {"shown": shown, "wrong": plain["wrong"], "part": {"test": "test", "val": "validation"}[plain["split"]]}
