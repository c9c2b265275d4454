"""The audit: every check in turn."""

from __future__ import annotations

from collections.abc import Callable

from whet.data.audit.balance import check_balance
from whet.data.audit.blank import check_blank
from whet.data.audit.colours import check_colours
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding
from whet.data.audit.groups import check_groups
from whet.data.audit.near_duplicates import check_near_duplicates
from whet.data.audit.origin import check_origin
from whet.data.audit.sizes import check_sizes
from whet.data.audit.survey import Survey, survey_images
from whet.data.audit.unreadable import check_unreadable
from whet.data.table import Table

_OF_ANY_DATA: tuple[Callable[[Table], list[Finding]], ...] = (check_duplicates, check_balance)
_OF_IMAGES: tuple[Callable[[Survey], list[Finding]], ...] = (
    check_unreadable, check_near_duplicates, check_groups, check_blank, check_sizes, check_colours, check_origin,
)  # fmt: skip
_RANK = {"problem": 0, "warning": 1, "fact": 2}


def audit(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> list[Finding]:
    """Everything that one look at each picture tells, the gravest first.

    What fits a model, the shortcut probes and the suspected labels, is left to `whet check`: this here is cheap enough to come
    before a training. Of 10,000 photos it takes about a minute of one core, most of it for the near-duplicates; pictures whose
    content is known are not opened again."""
    if table.medium != "picture":
        return by_gravity(_of_any_data(table))
    return audit_survey(survey_images(table, threads, advance))


def audit_survey(survey: Survey) -> list[Finding]:
    """The same of pictures that were looked at already."""
    found = _of_any_data(survey.table)
    for check_images in _OF_IMAGES:
        found += check_images(survey)
    return by_gravity(found)


def _of_any_data(table: Table) -> list[Finding]:
    found = [Finding("note", "fact", text) for text in table.notes]
    for check in _OF_ANY_DATA:
        found += check(table)
    return found


def by_gravity(found: list[Finding]) -> list[Finding]:
    """Problems first, then warnings, then facts; notes last."""
    return sorted(found, key=lambda finding: (_RANK[finding.severity], finding.kind == "note"))
