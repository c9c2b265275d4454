"""Texts that were read in a wrong encoding before they came here."""

from __future__ import annotations

import re
import unicodedata

from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.texts.survey import TextSurvey

LEAST_CHINESE = 3  # characters: two ordinary ones may by chance be UTF-8 ("联通")
_RUN = re.compile("[^\x00-\x7f]{2,}")
_SHOWN = 40


def check_mojibake(survey: TextSurvey) -> list[Finding]:
    """A text is broken if it holds replacement or C1 control characters, or a run of characters beyond ASCII that, written in
    cp1252, Latin-1 or GB18030, is UTF-8 of letters: so "crÃ¨me" was "crème"."""
    entries = [((survey.id_N[n],), why) for n, text in enumerate(survey.text_N) if (why := broken(text))]
    if not entries:
        return []
    text = f"{counted(len(entries), 'text')} broken by a wrong encoding; mend the source, or a model learns the rubble"
    return [noted("mojibake", "warning", text, entries)]


def broken(text: str) -> str:
    """What shows that a text was read in a wrong encoding, "" if nothing does."""
    if text.isascii():
        return ""
    if "\ufffd" in text:
        return "replacement characters (U+FFFD)"
    for run in _RUN.findall(text):
        if meant := _meant(run):
            return f"{run[:_SHOWN]} was {meant[:_SHOWN]}"
    return "control characters (U+0080 … U+009F)" if re.search("[\x80-\x9f]", text) else ""


def _meant(run: str) -> str:
    """What the run was before it was read wrongly, "" where it was not."""
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
