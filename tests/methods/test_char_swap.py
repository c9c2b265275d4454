import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules, share_of_words_changed

from whet.methods import CharSwap
from whet.methods.augment_text.char_swap import transposed


def test_rules():
    keeps_the_rules(CharSwap)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    assert share_of_words_changed(CharSwap(prob=1, fraction=fraction)) == pytest.approx(fraction, abs=0.01)


def test_two_inner_neighbours_change_places():
    seen = {transposed("bottle", (k + 0.5) / 30, 0.5) for k in range(30)}
    assert seen == {"btotle", "botlte"}  # b and e stay; two t are no change


def test_short_words_codes_and_chinese_stay():
    texts = ["the cat", "aaaa", "1234", CHINESE.replace("Python", "py"), "自然语言"]
    assert augmented(CharSwap(prob=1, fraction=1), texts) == texts
