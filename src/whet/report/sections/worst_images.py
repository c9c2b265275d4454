"""The images with the worst predictions: the image, its mask and the prediction."""

from __future__ import annotations

from typing import Any, cast

from whet.core.mask_task import MaskTask
from whet.core.run_folder import RunFolder
from whet.report.images import inline_jpeg
from whet.report.text import part_name


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.worst_images / "worst_images.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    shown = [
        entry | {name: inline_jpeg(folder.worst_images / entry[name]) for name in ("image", "target", "predicted")}
        for entry in plain["shown"]
    ]
    return {"shown": shown, "measure": cast(MaskTask, folder.task).quality_title, "part": part_name(plain["split"])}
