"""The language of what people read: reports and the summaries of the command line.

The English sentence, a literal, is the key of the catalogue `whet/languages/<language>.yaml`. `tr` gives a sentence in the current
language. What is written into files, and what an observer receives, stays English: `english` makes such a sentence, and
`translated` gives it in the current language when it is shown. Error messages are English.

Values in braces are formatted by the English sentence ("{share:.1f} %"); a translation names them only ("{share} %"). `{verdict!t}`
is a value that is translated itself, `{names!n}` one that `named` made.
"""

from __future__ import annotations

import functools
import os
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NewType, ParamSpec, TypeVar

from whet.core.errors import RecipeError, unknown

LANGUAGES = ("en", "zh")
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # in gettext's order
_ONE = {"n": "1"}  # "one seed" names no number
_NUMBER = r"[-+]?[\d.,]+(?:e[-+]?\d+)?%?|nan|[-+]?inf"  # a value with a format
_PLURAL = " | "  # between the two English sentences of a key

Sentence = NewType("Sentence", str)
"""An English sentence that the catalogue knows: made by `english`, shown by `translated`."""

P = ParamSpec("P")
R = TypeVar("R")


def tr(sentence: str, /, **values: Any) -> str:
    """The sentence in the current language, with its values. sentence: a literal."""
    return _said(sentence, sentence, values, str)


def tr_n(one: str, many: str, n: float, /, **values: Any) -> str:
    """The sentence for 1 or for several, in the current language; `{n}` is the number."""
    return _said(one + _PLURAL + many, one if n == 1 else many, {"n": n, **values}, str)


def english(sentence: str, /, **values: Any) -> Sentence:
    """The English sentence, for a file or an event. `translated` translates it. sentence: a literal."""
    return Sentence(_filled(sentence, _texts(sentence, values)))


def english_n(one: str, many: str, n: float, /, **values: Any) -> Sentence:
    """The English sentence for 1 or for several, for a file or an event; `{n}` is the number."""
    return english(one if n == 1 else many, n=n, **values)


_NAMED = "{names} and {n} more"


def named(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are, for a value `{names!n}`."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else english("{names} and {n} more", names=listed, n=len(names) - most)


def translated(text: str) -> str:
    """A text that `english` made, in the current language. A text that the catalogue does not have stays as it is."""
    if language() == "en" or not text:
        return text
    return _catalogue(language()).of_text(text)


def markup(escape: Callable[[Any], str], made: Callable[[str], str]) -> tuple[Callable[..., str], Callable[..., str]]:
    """`tr` and `tr_n` for sentences that are markup and whose values are not. escape: makes a value markup, a plain str. made:
    declares a str to be markup."""

    def shown(sentence: str, /, **values: Any) -> str:
        return made(_said(sentence, sentence, values, escape))

    def shown_n(one: str, many: str, n: float, /, **values: Any) -> str:
        return made(_said(one + _PLURAL + many, one if n == 1 else many, {"n": n, **values}, escape))

    return shown, shown_n


# --- the current language -----------------------------------------------------------------------------------------------
_current: str | None = None  # of the process: threads report progress as well


def language() -> str:
    """The current language: that which was set, else that of the locale."""
    return _current or language_of_locale(os.environ)


def set_language(name: str | None) -> None:
    """Set the language of the process; None: that of the locale. RecipeError if it is unknown."""
    global _current
    if name is not None and name not in LANGUAGES:
        raise RecipeError(unknown("language", name, LANGUAGES))
    _current = name


@contextmanager
def in_language(name: str | None) -> Iterator[None]:
    """Use this language for a while; None keeps the current one."""
    before = _current
    set_language(name or before)
    try:
        yield
    finally:
        set_language(before)


def in_its_language(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in the language that its argument `language` names; None keeps the current one."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        chosen = kwargs.get("language")
        with in_language(chosen if isinstance(chosen, str) else None):
            return function(*args, **kwargs)

    return wrapper


def language_of_locale(environment: Mapping[str, str]) -> str:
    """The first known language that the first of LANGUAGE, LC_ALL, LC_MESSAGES and LANG names; else English."""
    named = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    codes = [re.split(r"[_.@-]", part)[0].lower() for part in named.split(":")]
    return next((code for code in codes if code in LANGUAGES), "en")


# --- sentences and their values -----------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=4096)
def parts(sentence: str) -> tuple[tuple[str, str | None, str, str], ...]:
    """(text, the name of the value after it, its format, "t" or "n" if it is translated) for each part of a sentence."""
    return tuple(
        (text, name, form or "", conversion or "")
        for text, name, form, conversion in string.Formatter().parse(sentence)
    )


def _texts(sentence: str, values: Mapping[str, Any], convert: Callable[[Any], str] = str) -> dict[str, str]:
    """The values as the sentence formats them."""
    return {
        name: convert(format(values[name], form) if form else values[name])
        for _, name, form, _ in parts(sentence)
        if name is not None
    }


def _filled(sentence: str, texts: Mapping[str, str]) -> str:
    return "".join(text + (texts[name] if name is not None else "") for text, name, _, _ in parts(sentence))


def _said(key: str, sentence: str, values: Mapping[str, Any], convert: Callable[[Any], str]) -> str:
    if language() == "en":
        return _filled(sentence, _texts(sentence, values, convert))
    known = _catalogue(language())
    return _filled(known.of_key(key), _texts(sentence, known.of_values(sentence, values), convert))


# --- the catalogue ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Catalogue:
    """shown: the sentences of `tr`. recorded: those of `english`."""

    shown: Mapping[str, str]
    recorded: Mapping[str, str]

    def of_key(self, key: str) -> str:
        """The translation of a key; the English sentence if there is none."""
        return self.shown.get(key) or self.recorded.get(key) or key.rpartition(_PLURAL)[2]

    def of_text(self, text: str) -> str:
        """The translation of a text that a recorded sentence made."""
        if text in self._plain:
            return _filled(self._plain[text], _ONE)
        for pattern, sentence, translation in self._patterns:
            if found := pattern.fullmatch(text):
                return _filled(translation, self.of_values(sentence, {**_ONE, **found.groupdict()}))
        return text

    def of_names(self, text: str) -> str:
        """The translation of a text that `named` made, names apart."""
        found = _pattern(_NAMED).fullmatch(text)
        return _filled(self.of_key(_NAMED), found.groupdict()) if found else text

    def of_values(self, sentence: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a sentence, those translated that are sentences themselves."""
        found = dict(values)
        for _, name, _, kind in parts(sentence):
            if kind and name is not None:
                found[name] = self.of_text(values[name]) if kind == "t" else self.of_names(values[name])
        return found

    @functools.cached_property
    def _each(self) -> list[tuple[str, str]]:
        return [(one, translation) for key, translation in self.recorded.items() for one in key.split(_PLURAL)]

    @functools.cached_property
    def _plain(self) -> dict[str, str]:
        return {sentence: translation for sentence, translation in self._each if "{" not in sentence}

    @functools.cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str, str]]:
        """The sentences with values, those with the most text of their own first."""
        named = [(sentence, translation) for sentence, translation in self._each if sentence not in self._plain]
        named.sort(key=lambda pair: -sum(len(text) for text, *_ in parts(pair[0])))
        return [(_pattern(sentence), sentence, translation) for sentence, translation in named]


def _pattern(sentence: str) -> re.Pattern[str]:
    """What matches the texts that this sentence makes."""
    found, seen = "", set()
    for text, name, form, kind in parts(sentence):
        found += re.escape(text)
        if name is not None:
            value = _NUMBER if form or name == "n" else ".*?" if kind else ".+?"
            found += f"(?P={name})" if name in seen else f"(?P<{name}>{value})"
            seen.add(name)
    return re.compile(found, re.DOTALL)


@functools.cache
def _catalogue(name: str) -> Catalogue:
    import importlib.resources

    import yaml

    text = importlib.resources.files("whet").joinpath("languages", f"{name}.yaml").read_text(encoding="utf-8")
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Catalogue(**yaml.load(text, Loader=_Loader))
