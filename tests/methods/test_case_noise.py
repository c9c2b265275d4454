import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules, share_of_words_changed

from whet.methods import CaseNoise
from whet.methods.augment_text.case_noise import recased


def test_rules():
    keeps_the_rules(CaseNoise)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    assert share_of_words_changed(CaseNoise(prob=1, fraction=fraction)) == pytest.approx(fraction, abs=0.01)


def test_the_other_ways_to_write_a_word():
    assert {recased("dog", draw, 0.5) for draw in (0.1, 0.9)} == {"DOG", "Dog"}
    assert {recased("DoG", draw, 0.5) for draw in (0.1, 0.5, 0.9)} == {"dog", "DOG", "Dog"}
    assert recased("x", 0.3, 0.5) == "X" and recased("7", 0.3, 0.5) == "7"


def test_only_the_case_changes():
    (out,) = augmented(CaseNoise(prob=1, fraction=1), [CHINESE])
    assert out.lower() == CHINESE.lower() and out != CHINESE
