"""The audit: every check in turn."""

from __future__ import annotations

from collections.abc import Callable

from whet.data.audit.balance import check_balance
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding
from whet.data.audit.unreadable import check_unreadable
from whet.data.table import Table

_RANK = {"problem": 0, "warning": 1, "fact": 2}


def audit(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> list[Finding]:
    """Everything found, the gravest first."""
    notes = [Finding("note", "fact", text) for text in table.notes]
    found = [*check_unreadable(table, threads, advance), *check_duplicates(table), *check_balance(table), *notes]
    return sorted(found, key=lambda finding: _RANK[finding.severity])
