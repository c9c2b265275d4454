"""Checks of masks, each in one file; `audit_masks` runs them all."""

from whet.data.audit.masks.run import audit_masks, check_annotation

__all__ = ["audit_masks", "check_annotation"]
