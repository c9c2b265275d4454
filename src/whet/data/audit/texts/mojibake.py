"""Texts that were decoded with a wrong encoding."""

from __future__ import annotations

import re
import unicodedata

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding, noted
from whet.data.audit.texts.survey import TextSurvey

LEAST_CHINESE = 3  # characters: two ordinary ones may be valid UTF-8 by chance ("联通")
_RUN = re.compile("[^\x00-\x7f]{2,}")
_SHOWN = 40


def check_mojibake(survey: TextSurvey) -> list[Finding]:
    """A text is broken if it holds replacement or C1 control characters, or a run of non-ASCII characters that, encoded as cp1252,
    Latin-1 or GB18030, is valid UTF-8 of letters: "crÃ¨me" was "crème"."""
    entries = [((survey.id_N[n],), why) for n, text in enumerate(survey.text_N) if (why := broken(text))]
    if not entries:
        return []
    text = english_n(
        "{n} text is broken by a wrong encoding; correct the source, or a model trains on broken characters",
        "{n:,} texts are broken by a wrong encoding; correct the source, or a model trains on broken characters",
        len(entries),
    )
    return [noted(english("mojibake"), "warning", text, entries)]


def broken(text: str) -> str:
    """The evidence of a wrong encoding, "" if there is none."""
    if text.isascii():
        return ""
    if "\ufffd" in text:
        return english("replacement characters (U+FFFD)")
    for run in _RUN.findall(text):
        if meant := _meant(run):
            return english("{text} was originally {original}", text=run[:_SHOWN], original=meant[:_SHOWN])
    return english("control characters (U+0080 … U+009F)") if re.search("[\x80-\x9f]", text) else ""


def _meant(run: str) -> str:
    """The original text of the run, "" if it was decoded correctly."""
    for encoding in ("cp1252", "latin-1", "gb18030"):
        try:
            meant = run.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if encoding == "gb18030":
            if len(meant) >= LEAST_CHINESE and all("\u3000" <= letter <= "\uffef" for letter in meant):
                return meant
        elif all(unicodedata.category(letter)[0] in "LPSMZ" for letter in meant):
            return meant
    return ""
