"""Build one self-contained HTML report from a run folder: no network access, no scripts, readable on a phone and on paper."""

from whet.report.build import (
    build_architectures,
    build_check,
    build_compression,
    build_explanations,
    build_groups,
    build_improvement,
    build_preview_page,
    build_report,
    build_study,
    build_to_label,
    build_tuning,
)

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
