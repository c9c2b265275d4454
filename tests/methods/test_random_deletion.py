import numpy as np
import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules, long_text, words_of

from whet.methods import RandomDeletion


def test_rules():
    keeps_the_rules(RandomDeletion)


@pytest.mark.parametrize("fraction", [0.1, 0.4])
def test_the_share_left_out_is_the_fraction(fraction):
    texts = [long_text(50, seed) for seed in range(400)]
    left = [len(words_of(text)) / 50 for text in augmented(RandomDeletion(prob=1, fraction=fraction), texts)]
    assert np.mean(left) == pytest.approx(1 - fraction, abs=0.01)
    assert np.std(left) == pytest.approx(np.sqrt(fraction * (1 - fraction) / 50), rel=0.15)  # each word on its own


@pytest.mark.parametrize("text", ["a b c", "word", "我爱你", "a, b!", CHINESE])
def test_never_empties_a_text(text):
    results = augmented(RandomDeletion(prob=1, fraction=0.97), [text] * 300)
    assert min(len(words_of(result)) for result in results) == 1
    if text == "a b c":  # which word stays is drawn
        assert {"a", "b", "c"} <= set(results)


def test_what_stays_is_in_order():
    text = " ".join(f"w{i:02d}" for i in range(30))
    for result in augmented(RandomDeletion(prob=1, fraction=0.5), [text] * 30):
        assert result.split() == sorted(result.split()) and "  " not in result
