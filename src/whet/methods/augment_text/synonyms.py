"""Synonyms from the user's list or WordNet."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

from whet.core.errors import RecipeError
from whet.core.segment import Words, is_chinese, is_word
from whet.methods.augment_text.wordnet import wordnet

Lexicon = Callable[[str], tuple[str, ...]]
"""Maps a word to its synonyms in the same case."""

EXAMPLE = str(Path(__file__).with_name("synonyms.csv"))
"""A short list of synonyms for tests without WordNet."""

# Function words. The paper does not replace them.
_STOP_WORDS = """
a about above after again against all am an and any are aren't as at be because been before being below between both
but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from further
had hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how how's i
i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most mustn't my myself no nor not now of
off on once only or other our ours ourselves out over own same shan't she she'd she'll she's should shouldn't so some
such than that that's the their theirs them themselves then there there's these they they'd they'll they're they've
this those through to too under until up very was wasn't we we'd we'll we're we've were weren't what what's when
when's where where's which while who who's whom why why's will with won't would wouldn't you you'd you'll you're
you've your yours yourself yourselves
"""
_STOP = frozenset(_STOP_WORDS.split())
_MAX_CACHED_TOKENS = 250  # synonyms are cached for texts up to this length


@functools.cache
def is_stop_word(word: str) -> bool:
    return word.lower().replace("’", "'") in _STOP


Known = tuple[tuple[str, tuple[str, ...]], ...]
"""Words with their synonyms."""


def known_words(words: Words, synonyms_of: Lexicon) -> Known:
    """Return every occurrence of a word that has synonyms."""
    return (
        _cached(words.tokens, synonyms_of)[0]
        if len(words.tokens) <= _MAX_CACHED_TOKENS
        else _known(words.tokens, synonyms_of)
    )


def content_words(words: Words, synonyms_of: Lexicon) -> Known:
    """Return the distinct words that have synonyms and are not stop words."""
    short = len(words.tokens) <= _MAX_CACHED_TOKENS
    return _cached(words.tokens, synonyms_of)[1] if short else _content_words(_known(words.tokens, synonyms_of))


@functools.lru_cache(maxsize=1 << 13)  # each text is used again in every epoch
def _cached(tokens: tuple[str, ...], synonyms_of: Lexicon) -> tuple[Known, Known]:
    known = _known(tokens, synonyms_of)
    return known, _content_words(known)


def _known(tokens: tuple[str, ...], synonyms_of: Lexicon) -> Known:
    return tuple([(token, found) for token in tokens if is_word(token) and (found := synonyms_of(token))])


def _content_words(known: Known) -> Known:
    return tuple(dict.fromkeys(pair for pair in known if not is_stop_word(pair[0])))


def lexicon(method: str, path: str | None) -> Lexicon:
    """Return the synonyms of the user's list (`path`), or of WordNet if no list is given."""
    return _from_list(method, path) if path is not None else _from_wordnet(method)


@functools.cache
def _from_wordnet(method: str) -> Lexicon:
    known = wordnet(method)

    @functools.cache
    def synonyms(word: str) -> tuple[str, ...]:
        return () if is_chinese(word) else tuple(_as_written(found, word) for found in known.synonyms(word))

    return synonyms


@functools.cache
def _from_list(method: str, path: str) -> Lexicon:
    known = read_list(method, path)

    @functools.cache
    def synonyms(word: str) -> tuple[str, ...]:
        return tuple(_as_written(found, word) for found in known.get(word.lower(), ()))

    return synonyms


def read_list(method: str, path: str) -> dict[str, tuple[str, ...]]:
    """Read a UTF-8 file of lines `word, synonym, synonym …`, separated by commas or tabs."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{method}.path = {path!r}: cannot be read as a UTF-8 list of synonyms ({error}); "
            "accepted: a text or CSV file with a word and its synonyms on each line, separated by commas or tabs"
        ) from None
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = [part.strip().strip('"').strip() for part in re.split("\t|,|，", line)]
        if not any(parts):
            continue
        word, *synonyms = parts
        synonyms = [synonym for synonym in synonyms if synonym and synonym.lower() != word.lower()]
        if not word or not synonyms:
            raise RecipeError(
                f"{method}.path = {path!r}, line {number}: {line.strip()!r} contains no synonym; "
                "accepted: a word and its synonyms, separated by commas or tabs"
            )
        found[word.lower()] = tuple(dict.fromkeys((*found.get(word.lower(), ()), *synonyms)))
    if not found:
        raise RecipeError(f"{method}.path = {path!r}: the list of synonyms is empty")
    return found


def _as_written(synonym: str, word: str) -> str:
    """Capitalise or upper-case the synonym like the word."""
    if len(word) > 1 and word.isupper():
        return synonym.upper()
    return synonym[:1].upper() + synonym[1:] if word[:1].isupper() else synonym
