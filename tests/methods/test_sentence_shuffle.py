from itertools import permutations

import numpy as np
import pytest
from tests.methods.texts import augmented, keeps_the_rules

from whet.core.segment import segmented
from whet.methods import SentenceShuffle
from whet.methods.augment_text.sentences import sentences


def parts(text):
    words = segmented(text)
    return ["".join(words.tokens[i] + words.gaps[i + 1] for i in part).strip() for part in sentences(words)]


def test_rules():
    keeps_the_rules(SentenceShuffle)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "go." Then 3.5 km... done', ['He said "go."', "Then 3.5 km...", "done"]),
        ("好。真的吗？走吧", ["好。", "真的吗？", "走吧"]),
        ("“好。”他说。", ["“好。”", "他说。"]),
        ("a line\nanother", ["a line", "another"]),
        ("www.site.com is up", ["www.site.com is up"]),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert parts(text) == expected


def test_every_order_comes_equally_often_and_gaps_stay():
    text = " One.  Two!\tThree? "
    outs = augmented(SentenceShuffle(prob=1), [text] * 1200)
    orders, counts = np.unique(outs, return_counts=True)
    assert set(orders) == {" {}  {}\t{} ".format(*order) for order in permutations(["One.", "Two!", "Three?"])}
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)


def test_one_sentence_stays():
    assert set(augmented(SentenceShuffle(prob=1), ["Only one sentence."] * 20)) == {"Only one sentence."}
