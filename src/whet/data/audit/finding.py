"""One finding of the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from whet.core.language import Sentence, english_n, translated

Severity = Literal["problem", "warning", "fact"]
_RANK = {"problem": 0, "warning": 1, "fact": 2}


@dataclass(frozen=True)
class Finding:
    """kind: the check and its result. severity: "problem" (results would be wrong), "warning" (they may be), or "fact".
    text: one sentence. groups: the ids of the samples concerned, related samples in one tuple. notes: a remark for each group, or
    empty where there are none."""

    kind: Sentence
    severity: Severity
    text: Sentence
    groups: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """One line per group, for display in the current language."""
        notes = self.notes or ("",) * len(self.groups)
        return [
            "  =  ".join(group) + (f"  ({translated(note)})" if note else "") for group, note in zip(self.groups, notes)
        ]


def by_gravity(found: list[Finding]) -> list[Finding]:
    """Sort findings: problems first, then warnings, then facts; notes last."""
    return sorted(found, key=lambda finding: (_RANK[finding.severity], finding.kind == "note"))


Entries = Iterable[tuple[tuple[str, ...], str]]  # (group, note)


def noted(kind: Sentence, severity: Severity, text: Sentence, entries: Entries) -> Finding:
    """A finding from (group, note) entries, sorted by id."""
    return in_order(kind, severity, text, sorted(entries))


def in_order(kind: Sentence, severity: Severity, text: Sentence, entries: Entries) -> Finding:
    """A finding from (group, note) entries, in the given order."""
    entries = list(entries)
    return Finding(kind, severity, text, tuple(group for group, _ in entries), tuple(note for _, note in entries))


def counted(count: int, medium: str) -> Sentence:
    """'1 image is', '3 images are'."""
    return {
        "image": english_n("{n} image is", "{n:,} images are", count),
        "text": english_n("{n} text is", "{n:,} texts are", count),
        "audio": english_n("{n} audio clip is", "{n:,} audio clips are", count),
    }[medium]
