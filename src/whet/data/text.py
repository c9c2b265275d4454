"""The bytes of a file -> its text, and one text as it is learnt from: the same everywhere, in training, prediction and report.

Rules for a file's encoding, in this order:
1. A mark at its start (BOM) says UTF-8 or UTF-16, and is no part of the text.
2. UTF-8, if it is that without an error.
3. GB18030, if it is that without an error and at least nine tenths of its characters beyond ASCII stand in GB 2312,
   which holds what Chinese is mostly written in. The accents of western texts stand alone between ASCII letters, and
   read as GB18030 they make rare characters that GB 2312 lacks.
4. cp1252, the western encoding of Windows, if it is that without an error. What is none of these is refused.

Rules for one text: line ends become \\n, NUL characters are taken out, half a surrogate pair becomes U+FFFD, and what
stands beyond 100,000 characters is cut off. A text without a character that can be seen is no sample.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from whet.core.errors import DataError

MAX_CHARACTERS = 100_000
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDE_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_NAMES = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "gb18030": "GB18030", "cp1252": "cp1252"}
_COMMON_SHARE = 0.9
_NUL_SHARE = 0.1  # of the bytes; more is no text, or UTF-16 without its mark
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})  # control and format characters, and white space of every kind


class UnreadableText(DataError):
    """Bytes that are no text in an encoding we know."""


def decode(data: bytes) -> tuple[str, str]:
    """(the text, the name of its encoding). Raises UnreadableText."""
    if data.startswith(_WIDE_MARKS):
        raise UnreadableText("UTF-32 is not accepted; save it as UTF-8")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding), _NAMES[encoding]
    if data.count(0) > _NUL_SHARE * len(data):
        raise UnreadableText("too many NUL bytes for text; UTF-16 without its mark? save it as UTF-8")
    for encoding in ("utf-8", "gb18030", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "gb18030" or _mostly_common(text):
            return text, _NAMES[encoding]
    raise UnreadableText("neither UTF-8, UTF-16, GB18030 nor cp1252; save it as UTF-8")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableText(
            f"its mark says {_NAMES[encoding]}, but it is not ({error.reason} at byte {error.start} after the mark)"
        ) from None


def _mostly_common(text: str) -> bool:
    """Whether nine tenths of the characters beyond ASCII stand in GB 2312."""
    counts = Counter(character for character in text if character > "\x7f")
    common = sum(count for character, count in counts.items() if _in_gb2312(character))
    return common >= _COMMON_SHARE * counts.total()


def _in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class CleanText:
    """One text after the rules above, and which of them changed more than its line ends."""

    text: str
    cut: bool = False
    had_nul: bool = False

    @property
    def blank(self) -> bool:
        """Nothing in it can be seen."""
        return all(unicodedata.category(character) in _UNSEEN for character in self.text)


def clean_text(text: str) -> CleanText:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = _SURROGATE.sub("\ufffd", text.replace("\0", ""))
    return CleanText(plain[:MAX_CHARACTERS], len(plain) > MAX_CHARACTERS, "\0" in text)
