"""The samples that were wrong with the most confidence: bad labels and true confusions show here first."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder
from whet.report.images import shown


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.mistakes / "mistakes.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    tiles = [entry | shown(entry, folder.mistakes) for entry in plain["shown"]]
    return {"shown": tiles, "wrong": plain["wrong"], "part": {"test": "test", "val": "validation"}[plain["split"]]}
