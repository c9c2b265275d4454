"""The audit of masks: runs all checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from whet.core.language import Sentence, english
from whet.data.audit.finding import Finding, by_gravity
from whet.data.audit.masks.alignment import check_alignment
from whet.data.audit.masks.balance import check_mask_balance
from whet.data.audit.masks.left_out import check_copies, check_left_out
from whet.data.audit.masks.outlines import check_outlines
from whet.data.audit.masks.overlaps import check_duplicate_objects
from whet.data.masks import MaskData
from whet.data.table import Table

CHECKS: tuple[Callable[[MaskData], list[Finding]], ...] = (
    check_left_out, check_copies, check_outlines, check_duplicate_objects, check_mask_balance, check_alignment,
)  # fmt: skip


def audit_masks(data: MaskData) -> list[Finding]:
    """All findings about the annotation, the most severe first."""
    found = [
        Finding(english("note"), "warning" if text in data.warnings else "fact", Sentence(text)) for text in data.notes
    ]
    return by_gravity(found + [finding for check in CHECKS for finding in check(data)])


def check_annotation(table: Table) -> list[Finding]:
    """`audit_masks` for the images of a table, in its splits. The table's own checks report its notes and the images left out."""
    data = table.annotation
    assert data is not None
    split_of = dict(zip(table.frame["id"], table.frame["split"]))
    images = tuple(replace(image, split=split_of[image.id]) for image in data.images if image.id in split_of)
    return audit_masks(replace(data, images=images, notes=(), warnings=(), skipped=()))
