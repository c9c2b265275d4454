"""The audit: every check in turn."""

from __future__ import annotations

from collections.abc import Callable

from whet.data.audit.balance import check_balance
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding
from whet.data.audit.label_sets import check_label_sets
from whet.data.audit.media import MEDIA
from whet.data.audit.survey import Survey
from whet.data.table import Table

_OF_ANY_DATA: tuple[Callable[[Table], list[Finding]], ...] = (check_duplicates, check_balance, check_label_sets)
_RANK = {"problem": 0, "warning": 1, "fact": 2}


def audit(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> list[Finding]:
    """Everything that one look at each sample tells, the gravest first.

    What fits a model, the shortcut probes and the suspected labels, is left to `whet check`: this here is cheap enough to come
    before a training. Of 10,000 photos it takes about a minute of one core, most of it for the near-duplicates; images and
    audio clips whose content is known are not opened again."""
    return audit_survey(look(table, threads, advance))


def look(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> Survey:
    """Look at every sample once; `advance` is told how many are done."""
    return MEDIA[table.medium].look(table, threads, advance)


def audit_survey(survey: Survey) -> list[Finding]:
    """The same of samples that were looked at already."""
    warned = survey.table.warnings
    found = [Finding("note", "warning" if text in warned else "fact", text) for text in survey.table.notes]
    for check in _OF_ANY_DATA:
        found += check(survey.table)
    for check_medium in MEDIA[survey.table.medium].checks:
        found += check_medium(survey)
    return by_gravity(found)


def by_gravity(found: list[Finding]) -> list[Finding]:
    """Problems first, then warnings, then facts; notes last."""
    return sorted(found, key=lambda finding: (_RANK[finding.severity], finding.kind == "note"))
