import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules, share_of_words_changed

from whet.methods import KeyboardTypo
from whet.methods.augment_text.keyboard_typo import NEIGHBOURS, mistyped


def test_rules():
    keeps_the_rules(KeyboardTypo)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    assert share_of_words_changed(KeyboardTypo(prob=1, fraction=fraction)) == pytest.approx(fraction, abs=0.01)


def test_neighbours_are_those_of_the_keyboard():
    assert {key: set(NEIGHBOURS[key]) for key in "qsgmp"} == {
        "q": set("wa"), "s": set("weadzx"), "g": set("tyfhvb"), "m": set("jkn"), "p": set("ol"),
    }  # fmt: skip
    assert all(key in NEIGHBOURS[other] for key, near in NEIGHBOURS.items() for other in near)


def test_one_letter_a_word_becomes_a_neighbour_in_its_case():
    seen = {mistyped("Dog", (k + 0.5) / 60, (j + 0.5) / 60) for k in range(60) for j in range(60)}
    for typo in seen:
        ((old, new),) = [(a, b) for a, b in zip("Dog", typo) if a != b]
        assert new.lower() in NEIGHBOURS[old.lower()] and new.isupper() == old.isupper()
    assert len(seen) == sum(len(NEIGHBOURS[key]) for key in "dog")


def test_other_scripts_stay():
    texts = ["我爱你", "привет", "1234 !!", ""]
    assert augmented(KeyboardTypo(prob=1, fraction=1), texts) == texts
    (mixed,) = augmented(KeyboardTypo(prob=1, fraction=1), [CHINESE])
    assert mixed.replace(mixed[4:10], "Python") == CHINESE and mixed != CHINESE
