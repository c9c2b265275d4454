"""Split the words of a text into sentences."""

from __future__ import annotations

from collections.abc import Sequence

from whet.core.segment import Words, is_chinese

_ENDS = frozenset(".!?。！？…")
_CLOSES = frozenset("\"'”’)]}」』》）】")


def sentences(words: Words) -> list[range]:
    """Return the token range of each sentence.

    A sentence ends after . ! ? … and closing quotes or brackets, if white space or Chinese text follows, and at the end of a line.
    """
    found, start, place = [], 0, 0
    tokens, gaps = words.tokens, words.gaps
    while place < len(tokens):
        end = tokens[place][0] in _ENDS
        place += 1
        while end and place < len(tokens) and not gaps[place] and tokens[place][0] in _CLOSES:
            place += 1
        apart = place == len(tokens) or gaps[place] or is_chinese(tokens[place])
        if (end and apart) or "\n" in gaps[place]:
            found.append(range(start, place))
            start = place
    if start < len(tokens):
        found.append(range(start, len(tokens)))
    return found


def joined(words: Words, parts: Sequence[range], order: Sequence[int]) -> Words:
    """Join the sentences in another order; the gaps between them do not move."""
    if list(order) == list(range(len(parts))):
        return words
    tokens: list[str] = []
    gaps = [words.gaps[0]]
    for number, chosen in enumerate(order):
        part = parts[chosen]
        tokens += words.tokens[part.start : part.stop]
        gaps += words.gaps[part.start + 1 : part.stop]
        gaps.append(words.gaps[parts[number].stop])
    return Words(tuple(tokens), tuple(gaps))
