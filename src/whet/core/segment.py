"""A text in words, with everything that stands between them, so that joining gives back the very same string."""

from __future__ import annotations

import functools
import importlib.util
import logging
import re
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from whet.core.errors import RecipeError

Chinese = Literal["auto", "words", "characters"]
"""How a run of Chinese characters is cut: into words by jieba, into single characters, or (auto) by jieba where it is installed."""

_HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_LATIN = "A-Za-zªµº\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u1e00-\u1eff"
_PUNCTUATION = (
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"  # ASCII and Latin-1
    r"\u2010-\u2029\u2030-\u205e\u3001-\u3004\u3008-\u3020\u30fb\ufe10-\ufe1f\ufe30-\ufe6b"  # general, Chinese
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # full width
    r"\u060c\u061b\u061f\u06d4\u0964\u0965"  # Arabic, Devanagari
)
_TOKEN = re.compile(
    rf"(?P<han>[{_HAN}]+)"
    r"|[0-9]+(?:[.,:][0-9]+)+"  # 3.14, 1,000, 12:30
    rf"|[{_LATIN}0-9]+(?:['’\-][{_LATIN}0-9]+)*"  # don't, well-known, mp3
    rf"|(?P<mark>[{_PUNCTUATION}])(?P=mark)*"  # one mark, or a run of the same: ...
    rf"|[^\s{_HAN}{_LATIN}0-9{_PUNCTUATION}]+"  # other scripts and emoji: by white space
)
_MARK = re.compile(rf"[{_PUNCTUATION}]")
_UNSPACED = re.compile(rf"[{_HAN}{_KANA}\u3000-\u303f\uff01-\uff0f\uff1a-\uff20]")
_CLOSING = re.compile(r"[,.;:!?)\]}%]")

_opening = threading.Lock()


def is_word(token: str) -> bool:
    """Whether a token is a word (or a number, or an emoji), and not punctuation."""
    return _MARK.match(token) is None


def is_chinese(token: str) -> bool:
    """Whether a token is of characters that stand without spaces between them."""
    return _UNSPACED.match(token) is not None


def gap_between(left: str, right: str) -> str:
    """The white space that is written between two tokens which were not neighbours before."""
    if _UNSPACED.match(left[-1:]) and _UNSPACED.match(right):
        return ""
    return "" if _CLOSING.match(right) else " "


@dataclass(frozen=True)
class Words:
    """One text: its tokens (words, and punctuation apart), as written, and the gaps before each of them and after the last.

    The text is gap, token, gap, token, … gap, joined. A token is never empty; one that a method put in may hold spaces.
    """

    tokens: tuple[str, ...]
    gaps: tuple[str, ...]

    def __str__(self) -> str:
        pieces = [self.gaps[0]]
        for token, gap in zip(self.tokens, self.gaps[1:]):
            pieces += (token, gap)
        return "".join(pieces)

    @functools.cached_property
    def places(self) -> tuple[int, ...]:
        """Which of the tokens are words, and not punctuation."""
        return tuple(place for place, token in enumerate(self.tokens) if _MARK.match(token) is None)

    @property
    def words(self) -> list[str]:
        return [self.tokens[place] for place in self.places]

    def replaced(self, new: Mapping[int, str]) -> Words:
        """Other tokens at some places."""
        if not new:
            return self
        tokens = list(self.tokens)
        for place, token in new.items():
            tokens[place] = token
        return Words(tuple(tokens), self.gaps)

    def without(self, places: Sequence[int]) -> Words:
        """Some tokens fewer. Of the gaps about lost tokens the widest stays; at either end of the text, the outer one."""
        if not places:
            return self
        lost = set(places)
        tokens: list[str] = []
        gaps: list[str] = []
        widest, between = self.gaps[0], False
        for place, (token, gap) in enumerate(zip(self.tokens, self.gaps[1:])):
            if place in lost:
                between = bool(tokens)
                widest = max(widest, gap, key=len) if between else widest
                continue
            if between and not widest and is_word(tokens[-1]) and is_word(token):
                widest = gap_between(tokens[-1], token)
            tokens.append(token)
            gaps.append(widest)
            widest, between = gap, False
        return Words(tuple(tokens), (*gaps, self.gaps[-1]))

    def inserted(self, new: Sequence[tuple[int, str]]) -> Words:
        """More tokens, each before the token at a place of this text; `len(tokens)` is the end."""
        if not new:
            return self
        before: dict[int, list[str]] = {}
        for place, token in new:
            before.setdefault(place, []).append(token)
        tokens: list[str] = []
        gaps: list[str] = []
        for place, gap in enumerate(self.gaps):
            for token in before.get(place, ()):
                gaps.append(gap or (gap_between(tokens[-1], token) if tokens else ""))
                tokens.append(token)
                gap = gap_between(token, self.tokens[place]) if place < len(self.tokens) else self.gaps[-1]
            gaps.append(gap)
            if place < len(self.tokens):
                tokens.append(self.tokens[place])
        return Words(tuple(tokens), tuple(gaps))

    def followed_by(self, other: Words) -> Words:
        """This text, a gap as the script asks for, and another text."""
        if not self.tokens or not other.tokens:
            return self if self.tokens else other
        gap = gap_between(self.tokens[-1], other.tokens[0])
        return Words(self.tokens + other.tokens, (*self.gaps[:-1], gap, *other.gaps[1:]))


def segmented(text: str, chinese: Chinese = "auto") -> Words:
    """The words of a text: runs of Latin letters and digits, of equal punctuation marks, Chinese as `chinese` says, and
    anything else by white space."""
    tokens: list[str] = []
    gaps: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        start = match.start()
        gaps.append(text[end:start])
        end = match.end()
        if match["han"] is None:
            tokens.append(match[0])
        else:
            pieces = cut(match[0], chinese)
            tokens += pieces
            gaps += [""] * (len(pieces) - 1)
    gaps.append(text[end:])
    return Words(tuple(tokens), tuple(gaps))


def cut(run: str, chinese: Chinese = "auto") -> tuple[str, ...]:
    """A run of Chinese characters in words or characters."""
    if chinese == "characters" or (chinese == "auto" and not has_jieba()):
        return tuple(run)
    return _cut_by_jieba(run)


@functools.cache
def has_jieba() -> bool:
    return importlib.util.find_spec("jieba") is not None


@functools.lru_cache(maxsize=1 << 16)
def _cut_by_jieba(run: str) -> tuple[str, ...]:
    return tuple(_cutter().lcut(run))


def _cutter() -> Any:
    with _opening:
        return _opened()


@functools.cache
def _opened() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its source has escapes that Python warns of
            import jieba
    except ImportError as error:
        raise RecipeError(
            f"Chinese words need jieba, which cannot be imported ({error}); install it with pip install whet[text], "
            "or ask for single characters"
        ) from None
    jieba.setLogLevel(logging.WARNING)
    cutter = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        cutter.tmp_dir = folder  # else it trusts a file in the temporary folder that all share
        cutter.initialize()
    return cutter
