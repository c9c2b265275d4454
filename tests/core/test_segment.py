"""How a text is cut into words."""

import pytest

from whet.core.segment import segmented


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The U.S. economy grew.", ["The", "U.S.", "economy", "grew", "."]),
        ("in the U.S, e.g. at 8 a.m.", ["in", "the", "U.S", ",", "e.g.", "at", "8", "a.m."]),
        ("https://example.com/a?b=c&d=e, or www.who.int.", ["https://example.com/a?b=c&d=e", ",", "or", "www.who.int", "."]),
        ("write to j.doe+x@mail.example.org!", ["write", "to", "j.doe+x@mail.example.org", "!"]),
        ("见https://example.com/网页。", ["见", "https://example.com/", "网", "页", "。"]),
        ("end.Start of 3.14 a.bc", ["end", ".", "Start", "of", "3.14", "a", ".", "bc"]),
        ("Plan B. A don't, well-known ...", ["Plan", "B", ".", "A", "don't", ",", "well-known", "..."]),
    ],
)  # fmt: skip
def test_abbreviations_and_addresses_are_one_word_each(text, tokens):
    words = segmented(text, "characters")
    assert list(words.tokens) == tokens
    assert str(words) == text
