"""Words coloured by what they add to the evidence for a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FOR, AGAINST = (47, 95, 179), (194, 81, 47)  # the pages' blue and their red
_DEEPEST = 0.72  # behind dark ink
_FAINTEST = 0.03  # of the strongest word; less is not coloured


def coloured(pieces: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Pieces of a text with their evidence (None: not read) -> the same with the style of each: blue for the class, red against it,
    the deeper the more, the strongest word of the text the deepest."""
    strongest = max((abs(value) for _, value in pieces if value is not None), default=0.0)
    return [{"text": text, "unread": value is None, **_style(value, strongest)} for text, value in pieces]


def _style(value: float | None, strongest: float) -> dict[str, str]:
    share = abs(value) / strongest if value is not None and strongest else 0.0
    if value is None or share < _FAINTEST:
        return {"style": "", "told": ""}
    red, green, blue = FOR if value > 0 else AGAINST
    ink = ";color:#fff" if share > 0.8 else ""
    return {
        "style": f"background:rgba({red},{green},{blue},{_DEEPEST * share:.2f}){ink}",
        "told": f"{value:+.2f}".replace("-", "−"),
    }
