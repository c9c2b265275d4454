"""Images and objects that were left out, and copies of one photo in several splits."""

from __future__ import annotations

from whet.data.audit.finding import Finding, counted, noted
from whet.data.masks import MaskData
from whet.data.table import SPLITS


def check_left_out(data: MaskData) -> list[Finding]:
    """Images without a usable mask (missing, of another size, not readable), and objects that cover nothing (outside the image, no
    area, fewer than three points)."""
    found = []
    for kind, word, entries, total in (
        ("unusable masks", "images", data.skipped, len(data) + len(data.skipped)),
        ("objects that cover nothing", "objects", data.dropped, data.objects + len(data.dropped)),
    ):
        if entries:
            text = f"{len(entries)} of {total:,} {word} cannot be used and will be left out"
            found.append(noted(kind, "problem", text, [((entry.id,), entry.reason) for entry in entries]))
    return found


def check_copies(data: MaskData) -> list[Finding]:
    """Groups with images in two splits: copies that Roboflow made of one photo (NAME.rf.HASH), or groups of the split table."""
    by_group: dict[str, list[int]] = {}
    for row, image in enumerate(data.images):
        if image.group and image.split:
            by_group.setdefault(image.group, []).append(row)
    entries = []
    for group, rows in by_group.items():
        splits = [split for split in SPLITS if any(data.images[row].split == split for row in rows)]
        if len(splits) > 1:
            entries.append((tuple(data.images[row].id for row in rows), f"{group}: {', '.join(splits)}"))
    if not entries:
        return []
    text = f"{counted(len(entries), 'group')} in several splits: test images with a copy in train make results too good"
    return [noted("leak", "problem", text, entries)]
