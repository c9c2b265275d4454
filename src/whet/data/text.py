"""Decodes the bytes of a text file and cleans its text, in the same way for training, prediction and reports.

Rules for a file's encoding, in this order:
1. A byte order mark (BOM) at its start means UTF-8 or UTF-16, and is removed.
2. UTF-8, if it decodes without an error.
3. GB18030, if it decodes without an error and at least nine tenths of its non-ASCII characters are in GB 2312, which contains the
   common Chinese characters. Accented letters of western texts, which are isolated between ASCII letters, decode as GB18030 to rare
   characters that are not in GB 2312.
4. cp1252, the western encoding of Windows, if it decodes without an error. Everything else is rejected.

Rules for one text: line ends become \\n, NUL characters are removed, an unpaired surrogate becomes U+FFFD, and the text is
truncated after 100,000 characters. A text without visible characters is not a sample.
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
_NUL_SHARE = 0.1  # of the bytes; more means that it is not text, or UTF-16 without a BOM
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})  # control and format characters, and all white space


class UnreadableText(DataError):
    """Bytes that are not text in a supported encoding."""


def decode(data: bytes) -> tuple[str, str]:
    """(the text, the name of its encoding). Raises UnreadableText."""
    if data.startswith(_WIDE_MARKS):
        raise UnreadableText("UTF-32 is not accepted; save it as UTF-8")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding), _NAMES[encoding]
    if data.count(0) > _NUL_SHARE * len(data):
        raise UnreadableText("too many NUL bytes for text; UTF-16 without a byte order mark? save it as UTF-8")
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
            f"it has the byte order mark of {_NAMES[encoding]}, but is not valid ({error.reason} at byte {error.start} after it)"
        ) from None


def _mostly_common(text: str) -> bool:
    """Whether nine tenths of the non-ASCII characters are in GB 2312."""
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
    """A text after the rules above, and whether it was truncated or contained NUL characters."""

    text: str
    cut: bool = False
    had_nul: bool = False

    @property
    def blank(self) -> bool:
        """Whether it has no visible characters."""
        return all(unicodedata.category(character) in _UNSEEN for character in self.text)


def clean_text(text: str) -> CleanText:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = _SURROGATE.sub("\ufffd", text.replace("\0", ""))
    return CleanText(plain[:MAX_CHARACTERS], len(plain) > MAX_CHARACTERS, "\0" in text)
