"""Renders texts from their view by joining the words and gaps."""

from __future__ import annotations

from whet.core.text_view import TextView


def render_texts(view: TextView) -> list[str]:
    """The texts of a batch. A text that no method changed equals the original string exactly."""
    return [str(content) for content in view.content_B]
