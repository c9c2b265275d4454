"""The audit: runs all checks."""

from __future__ import annotations

from collections.abc import Callable

from whet.core.language import english
from whet.core.task import LabelKind
from whet.data.audit.balance import check_balance
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding, by_gravity
from whet.data.audit.label_sets import check_label_sets
from whet.data.audit.masks import check_annotation
from whet.data.audit.media import MEDIA
from whet.data.audit.survey import Survey
from whet.data.table import Table

_CHECKS: dict[LabelKind, tuple[Callable[[Table], list[Finding]], ...]] = {
    "class": (check_duplicates, check_balance),
    "classes": (check_duplicates, check_balance, check_label_sets),
    "masks": (check_duplicates, check_annotation),
}
"""By the kind of the labels."""


def audit(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> list[Finding]:
    """All findings from reading each sample once, the most severe first.

    The checks that fit a model (shortcut probes and suspected labels) run only in `whet check`, so that this is fast enough to run
    before a training. For 10,000 photos it takes about a minute on one core, mostly for the near-duplicates. Images and audio clips
    with cached records are not decoded again."""
    return audit_survey(look(table, threads, advance))


def look(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> Survey:
    """Read every sample once; `advance` is called with the number of newly finished samples."""
    return MEDIA[table.medium].look(table, threads, advance)


def audit_survey(survey: Survey) -> list[Finding]:
    """The findings for an existing survey."""
    warned = survey.table.warnings
    found = [Finding(english("note"), "warning" if text in warned else "fact", text) for text in survey.table.notes]
    for check in _CHECKS[survey.table.label_kind]:
        found += check(survey.table)
    for check_medium in MEDIA[survey.table.medium].checks:
        found += check_medium(survey)
    return by_gravity(found)
