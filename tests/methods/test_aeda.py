import numpy as np
import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules, words_of

from whet.methods import AEDA


def test_rules():
    keeps_the_rules(AEDA)


@pytest.mark.parametrize(("words", "most"), [(1, 1), (3, 1), (10, 4), (30, 10)])
def test_between_one_and_a_third_as_many_marks(words, most):
    """The paper: a whole number between 1 and 0.3 * words (+ 1, as its code has it), each equally likely."""
    text = " ".join(f"w{i}" for i in range(words))
    added = [len(out.split()) - words for out in augmented(AEDA(prob=1), [text] * 600)]
    counts = np.bincount(added, minlength=most + 1)[1:]
    assert len(counts) == most and np.abs(counts - 600 / most).max() < 5 * np.sqrt(600 / most)


def test_words_and_their_order_stay_and_all_six_marks_come():
    results = augmented(AEDA(prob=1), ["one two three four five"] * 300)
    assert all(words_of(out) == ["one", "two", "three", "four", "five"] for out in results)
    assert {mark for out in results for mark in out.split() if not mark.isalpha()} == set(".;?:!,")


def test_chinese_marks_between_chinese():
    results = augmented(AEDA(prob=1, fraction=1), ["我爱你们"] * 100, chinese="characters")
    assert {mark for out in results for mark in out if mark not in "我爱你们"} == set("。；？：！，")
    assert all(" " not in out for out in results)
    assert all(words_of(out) == words_of(CHINESE) for out in augmented(AEDA(prob=1), [CHINESE] * 30))
