"""One thing the audit found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """kind: the check and what it found. severity: "problem" (results would be wrong), "warning" (they may be), or "fact".
    text: one sentence. groups: the samples it is about, those that belong together in one tuple."""

    kind: str
    severity: Literal["problem", "warning", "fact"]
    text: str
    groups: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
