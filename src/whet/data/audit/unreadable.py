"""Files that are not images, are truncated, or are rejected, found by decoding every file."""

from __future__ import annotations

from whet.core.language import english
from whet.data.audit.finding import Finding, noted
from whet.data.audit.survey import Survey


def check_unreadable(survey: Survey) -> list[Finding]:
    """Files that cannot be decoded, with the decoder's reason."""
    bad = [((entry.id,), entry.reason) for entry in survey.table.skipped]
    bad += [((name,), why) for name, why in zip(survey.id_N, survey.reason_N) if why]
    if not bad:
        return []
    total = len(survey.table) + len(survey.table.skipped)
    return [
        noted(
            english("unreadable"),
            "problem",
            english("{n} of {total:,} samples cannot be used and will be left out", n=len(bad), total=total),
            bad,
        )
    ]
