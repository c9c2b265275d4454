"""Images and objects that were left out, and copies of one photo in several splits."""

from __future__ import annotations

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding, noted
from whet.data.masks import MaskData
from whet.data.table import SPLITS


def check_left_out(data: MaskData) -> list[Finding]:
    """Images without a usable mask (missing, of another size, not readable), and objects that cover nothing (outside the image, no
    area, fewer than three points)."""
    found = []
    if data.skipped:
        text = english(
            "{n} of {total:,} images cannot be used and will be left out",
            n=len(data.skipped),
            total=len(data) + len(data.skipped),
        )
        entries = [((entry.id,), entry.reason) for entry in data.skipped]
        found.append(noted(english("unusable masks"), "problem", text, entries))
    if data.dropped:
        total = data.objects + len(data.dropped)
        text = english("{n} of {total:,} objects cannot be used and will be left out", n=len(data.dropped), total=total)
        entries = [((entry.id,), entry.reason) for entry in data.dropped]
        found.append(noted(english("objects that cover nothing"), "problem", text, entries))
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
    text = english_n(
        "{n} group is in several splits: test images with a copy in train make results too good",
        "{n:,} groups are in several splits: test images with a copy in train make results too good",
        len(entries),
    )
    return [noted(english("leak"), "problem", text, entries)]
