"""Bundles: exported models with their preprocessing. This package needs neither torch nor the rest of whet."""

from whet.bundle.bundle import Bundle
from whet.bundle.samples import Prepared, Unreadable

__all__ = ["Bundle", "Prepared", "Unreadable"]
