from collections import Counter

import numpy as np
import pytest
from tests.methods.texts import CHINESE, ENGLISH, augmented, keeps_the_rules, words_of

from whet.core.segment import segmented
from whet.methods import RandomSwap


def test_rules():
    keeps_the_rules(RandomSwap)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_the_same_words_in_another_order_and_punctuation_where_it_was(text):
    for swapped in set(augmented(RandomSwap(prob=1, fraction=0.3), [text] * 50)):
        assert Counter(words_of(swapped, "characters")) == Counter(words_of(text, "characters"))
        marks = [None if place in words.places else token for words in [segmented(text, "characters")]
                 for place, token in enumerate(words.tokens)]  # fmt: skip
        assert [m for m in marks if m] == [t for t in segmented(swapped, "characters").tokens if t in marks]


@pytest.mark.parametrize(("length", "fraction", "swaps"), [(2, 0.1, 1), (19, 0.1, 1), (20, 0.1, 2), (50, 0.2, 10)])
def test_as_many_swaps_as_in_the_paper_s_code(length, fraction, swaps):
    """n = max(1, int(alpha * words)); n swaps move at most 2 n words, and one swap exactly two."""
    text = " ".join(f"w{i}" for i in range(length))
    moved = [
        sum(a != b for a, b in zip(text.split(), out.split()))
        for out in augmented(RandomSwap(prob=1, fraction=fraction), [text] * 400)
    ]
    assert max(moved) <= 2 * swaps and min(moved) >= (2 if swaps == 1 else 0)
    expected = length * (1 - (1 - 2 / length) ** swaps)  # words touched by at least one swap
    assert np.mean(moved) == pytest.approx(min(expected, length), rel=0.08)


def test_all_pairs_are_equally_likely():
    seen = [augmented(RandomSwap(prob=1, fraction=0.1), ["a b c d"], indices=[i])[0] for i in range(1200)]
    counts = np.unique(seen, return_counts=True)[1]
    assert len(counts) == 6 and np.abs(counts - 200).max() < 5 * np.sqrt(200)
