"""Special token ids of methods that work on token ids (see whet.core.tokens)."""

from __future__ import annotations

from whet.core.errors import RecipeError
from whet.core.tokens import SpecialIds


def require_special_ids(name: str, special: SpecialIds | None) -> SpecialIds:
    """Return the special ids. Raises RecipeError if they are not set."""
    if special is None:
        raise RecipeError(
            f"{name}: works on token ids and needs the special token ids; "
            "call method.with_special_ids(SpecialIds(…)) and use the method it returns"
        )
    return special
