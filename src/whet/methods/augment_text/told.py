"""Telling a method that works on token ids which of them are special (see whet.core.tokens)."""

from __future__ import annotations

from whet.core.errors import RecipeError
from whet.core.tokens import SpecialIds


def require(name: str, special: SpecialIds | None) -> SpecialIds:
    """The special ids, or an error where nobody told them."""
    if special is None:
        raise RecipeError(
            f"{name}: works on token ids and was not told which are special; "
            "ask method.knowing(SpecialIds(…)) and use what it gives"
        )
    return special
