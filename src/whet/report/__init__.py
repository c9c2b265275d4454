"""Build one self-contained HTML report from a run folder: no network access; readable on a phone, on paper and without scripts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "build_architectures",
    "build_check",
    "build_compression",
    "build_explanations",
    "build_groups",
    "build_improvement",
    "build_preview_page",
    "build_report",
    "build_study",
    "build_to_label",
    "build_tuning",
]

if TYPE_CHECKING:
    from whet.report.build import build_architectures as build_architectures
    from whet.report.build import build_check as build_check
    from whet.report.build import build_compression as build_compression
    from whet.report.build import build_explanations as build_explanations
    from whet.report.build import build_groups as build_groups
    from whet.report.build import build_improvement as build_improvement
    from whet.report.build import build_preview_page as build_preview_page
    from whet.report.build import build_report as build_report
    from whet.report.build import build_study as build_study
    from whet.report.build import build_to_label as build_to_label
    from whet.report.build import build_tuning as build_tuning


def __getattr__(name: str) -> Any:
    """Imported on first use: the commands that only format numbers need no matplotlib."""
    if name not in __all__:
        raise AttributeError(f"module 'whet.report' has no attribute '{name}'")
    return getattr(importlib.import_module("whet.report.build"), name)
