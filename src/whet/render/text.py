"""Texts from their view: the words joined by what stood between them."""

from __future__ import annotations

from whet.core.text_view import TextView


def paint_texts(view: TextView) -> list[str]:
    """The texts of a batch. One that no method changed is the string that was given, character by character."""
    return [str(content) for content in view.content_B]
