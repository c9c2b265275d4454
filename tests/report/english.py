"""The English sentences that a page shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_FEW = 4  # words that names, units and file names may have in a row
_VOID = {"meta", "img", "br", "input", "use", "path", "rect", "line", "circle", "stop", "link"}


class _Visible(HTMLParser):
    """The visible texts of a page, without what is code or declared to be English."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []  # for every open element: whether its text counts
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.texts += [given[name] or "" for name in ("alt", "title", "aria-label") if name in given]
        if tag not in _VOID:
            counts = tag not in ("style", "script", "pre", "code") and given.get("lang") != "en"
            self._open.append(counts and (not self._open or self._open[-1]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1]:
            self.texts.append(data)


def english_sentences(page: str, *but: str) -> list[str]:
    """The visible texts of a page with several English words in a row, except for those that contain one of `but`."""
    return _with_words([text.strip() for text in _Visible(page).texts], but)


def english_in(output: str, *but: str) -> list[str]:
    """The lines of a command's output with several English words in a row, except for those that contain one of `but`."""
    return _with_words(output.splitlines(), but)


def _with_words(texts: list[str], but: tuple[str, ...]) -> list[str]:
    words = rf"(?:\b[A-Za-z][a-z]+\b[ ,]+){{{_FEW - 1}}}[A-Za-z][a-z]+"
    return [text for text in texts if re.search(words, text) and not any(one in text for one in but)]
