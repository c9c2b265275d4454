"""A text split into words and the white space between them, so that joining them returns the original string."""

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
"""How Chinese text is segmented: into words by jieba, into single characters, or (auto) by jieba where it is installed."""

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
    rf"((?P<han>[{_HAN}]+)"
    rf"|(?:https?://|www\.)[^\s{_HAN}]*[{_LATIN}0-9/]"  # a web address, without the punctuation after it
    rf"|[{_LATIN}0-9][{_LATIN}0-9._%+\-]*@[{_LATIN}0-9\-]+(?:\.[{_LATIN}0-9\-]+)+"  # an e-mail address
    rf"|[{_LATIN}](?:\.[{_LATIN}])+(?:\.|(?![{_LATIN}0-9]))(?![{_LATIN}0-9])"  # U.S., e.g.
    r"|[0-9]+(?:[.,:][0-9]+)+"  # 3.14, 1,000, 12:30
    rf"|[{_LATIN}0-9]+(?:['’\-][{_LATIN}0-9]+)*"  # don't, well-known, mp3
    rf"|(?P<mark>[{_PUNCTUATION}])(?P=mark)*"  # one mark, or a run of the same: ...
    rf"|[^\s{_HAN}{_LATIN}0-9{_PUNCTUATION}]+)"  # other scripts and emoji: split at white space
)
_MARKS = frozenset(re.findall(rf"[{_PUNCTUATION}]", "".join(map(chr, range(0x10000)))))
_UNSPACED = re.compile(rf"[{_HAN}{_KANA}\u3000-\u303f\uff01-\uff0f\uff1a-\uff20]")
_CLOSING = re.compile(r"[,.;:!?)\]}%]")

_SHORT = 1000
"""Maximum length, in characters, of texts whose words are cached."""

_opening = threading.Lock()


def is_word(token: str) -> bool:
    """Whether a token is a word (or a number, or an emoji), not punctuation."""
    return token[:1] not in _MARKS


def is_chinese(token: str) -> bool:
    """Whether a token consists of characters written without spaces between them."""
    return _UNSPACED.match(token) is not None


def gap_between(left: str, right: str) -> str:
    """The white space to insert between two tokens that were not adjacent before."""
    return _gap(left[-1:], right[:1])


@functools.lru_cache(maxsize=1 << 16)
def _gap(left: str, right: str) -> str:
    if _UNSPACED.match(left) and _UNSPACED.match(right):
        return ""
    return "" if _CLOSING.match(right) else " "


@dataclass(frozen=True)
class Words:
    """The tokens of one text (words and punctuation), as written, and the gaps before each token and after the last.

    The text is gap, token, gap, token, … gap, joined. A token is never empty; a token inserted by a method may contain spaces.
    """

    tokens: tuple[str, ...]
    gaps: tuple[str, ...]

    def __str__(self) -> str:
        pieces = [""] * (len(self.tokens) + len(self.gaps))
        pieces[::2], pieces[1::2] = self.gaps, self.tokens
        return "".join(pieces)

    @functools.cached_property
    def places(self) -> tuple[int, ...]:
        """The positions of the tokens that are words, not punctuation."""
        return tuple([place for place, token in enumerate(self.tokens) if token[0] not in _MARKS])

    @property
    def words(self) -> list[str]:
        return [self.tokens[place] for place in self.places]

    def replaced(self, new: Mapping[int, str]) -> Words:
        """Replace the tokens at some positions."""
        if not new:
            return self
        tokens = list(self.tokens)
        for place, token in new.items():
            tokens[place] = token
        return Words(tuple(tokens), self.gaps)

    def reworded(self, new: Mapping[str, str]) -> Words:
        """Replace some tokens wherever they occur."""
        return Words(tuple([new.get(token, token) for token in self.tokens]), self.gaps) if new else self

    def without(self, places: Sequence[int]) -> Words:
        """Remove some tokens. Of the gaps around removed tokens, the widest stays; at either end of the text, the outer one."""
        if not places:
            return self
        lost = set(places)
        tokens, gaps = list(self.tokens), list(self.gaps)
        for place in sorted(lost, reverse=True):  # from the end, so that earlier positions stay valid
            before, after = gaps[place : place + 2]
            del tokens[place]
            if place == len(tokens):
                gap = after
            elif place == 0:
                gap = before
            else:
                gap = max(before, after, key=len)
                if not gap and place - 1 not in lost and is_word(tokens[place - 1]) and is_word(tokens[place]):
                    gap = gap_between(tokens[place - 1], tokens[place])
            gaps[place : place + 2] = [gap]
        return Words(tuple(tokens), tuple(gaps))

    def inserted(self, new: Sequence[tuple[int, str]]) -> Words:
        """Insert tokens, each before the token at a position of this text; `len(tokens)` is the end."""
        if not new:
            return self
        put: dict[int, list[str]] = {}
        for place, token in new:
            put.setdefault(place, []).append(token)
        tokens, gaps = list(self.tokens), list(self.gaps)
        for place in sorted(put, reverse=True):  # from the end, so that earlier positions stay valid
            gap = gaps[place]
            parts: list[str] = []
            left = tokens[place - 1] if place else None
            for token in put[place]:
                parts.append(gap or ("" if left is None else gap_between(left, token)))
                gap = gap_between(token, self.tokens[place]) if place < len(self.tokens) else self.gaps[-1]
                left = token
            tokens[place:place] = put[place]
            gaps[place : place + 1] = [*parts, gap]
        return Words(tuple(tokens), tuple(gaps))

    def followed_by(self, other: Words) -> Words:
        """This text, a gap that suits the script, and another text."""
        if not self.tokens or not other.tokens:
            return self if self.tokens else other
        gap = gap_between(self.tokens[-1], other.tokens[0])
        return Words(self.tokens + other.tokens, (*self.gaps[:-1], gap, *other.gaps[1:]))


def segmented(text: str, chinese: Chinese = "auto") -> Words:
    """Split a text into words: runs of Latin letters and digits, runs of equal punctuation marks, Chinese according to `chinese`,
    and anything else at white space."""
    if chinese == "auto":
        chinese = "words" if has_jieba() else "characters"
    return _kept(text, chinese) if len(text) <= _SHORT else _cut_up(text, chinese)


@functools.lru_cache(maxsize=1 << 13)  # every epoch uses the same texts
def _kept(text: str, chinese: Chinese) -> Words:
    return _cut_up(text, chinese)


def _cut_up(text: str, chinese: Chinese) -> Words:
    pieces = _TOKEN.split(text)  # gap, token, its Chinese run, its mark, gap, token, …, gap
    gaps, tokens, chinese_runs = pieces[::4], pieces[1::4], pieces[2::4]
    if any(chinese_runs):
        cut_up = [cut(token, chinese) if run else (token,) for token, run in zip(tokens, chinese_runs)]
        tokens = [token for part in cut_up for token in part]
        gaps = [gap for start, part in zip(gaps, cut_up) for gap in (start, *("",) * (len(part) - 1))] + gaps[-1:]
    return Words(tuple(tokens), tuple(gaps))


def cut(run: str, chinese: Chinese = "auto") -> tuple[str, ...]:
    """Split a run of Chinese characters into words or characters."""
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
            warnings.simplefilter("ignore")  # jieba's source contains escapes that Python warns about
            import jieba
    except ImportError as error:
        raise RecipeError(
            f"Chinese words need jieba, which cannot be imported ({error}); install it with pip install whet[text], "
            "or use single characters"
        ) from None
    jieba.setLogLevel(logging.WARNING)
    cutter = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        cutter.tmp_dir = folder  # otherwise it trusts a file in the shared temporary folder
        cutter.initialize()
    return cutter
