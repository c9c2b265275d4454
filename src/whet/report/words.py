"""Words coloured by their evidence for a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe & Ito
_DEEPEST = 0.72  # the highest opacity
_FAINTEST = 0.03  # words with a smaller share of the strongest word's evidence are not coloured


def coloured(pieces: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Add a style to each piece of a text with its evidence (None: not read). Blue is evidence for the class, orange
    is evidence against it. The opacity is proportional to the evidence, relative to the strongest word of the text."""
    strongest = max((abs(value) for _, value in pieces if value is not None), default=0.0)
    return [{"text": text, "unread": value is None, **_style(value, strongest)} for text, value in pieces]


def _style(value: float | None, strongest: float) -> dict[str, str]:
    share = abs(value) / strongest if value is not None and strongest else 0.0
    if value is None or share < _FAINTEST:
        return {"style": "", "value": ""}
    red, green, blue = FOR if value > 0 else AGAINST
    ink = ";color:#fff" if share > 0.8 else ""
    return {
        "style": f"background:rgba({red},{green},{blue},{_DEEPEST * share:.2f}){ink}",
        "value": f"{value:+.2f}".replace("-", "−"),
    }
