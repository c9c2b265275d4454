import pytest
from tests.methods.texts import CHINESE, augmented, keeps_the_rules

from whet.methods import OcrNoise
from whet.methods.augment_text.ocr_noise import CONFUSIONS, misread


def test_rules():
    keeps_the_rules(OcrNoise)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    texts = ["clean modern river l0ng " * 25] * 200
    changed = [
        [a != b for a, b in zip(t.split(), o.split())]
        for t, o in zip(texts, augmented(OcrNoise(prob=1, fraction=fraction), texts))
    ]
    assert sum(map(sum, changed)) / (200 * 100) == pytest.approx(fraction, abs=0.01)


def test_known_confusions_both_ways():
    assert "m" in CONFUSIONS["rn"] and "rn" in CONFUSIONS["m"] and "O" in CONFUSIONS["0"]
    assert {"l", "I"} <= set(CONFUSIONS["1"])
    assert all(shape in CONFUSIONS[other] for shape, likes in CONFUSIONS.items() for other in likes)


def test_one_shape_of_the_word_is_misread():
    seen = {misread("corn0", (k + 0.5) / 40, (j + 0.5) / 40) for k in range(40) for j in range(40)}
    assert {"com0", "cornO", "eorn0"} <= seen and "corn0" not in seen
    for word in seen:  # one shape for one shape
        assert any("corn0"[:i] + like + "corn0"[i + len(shape):] == word
                   for shape, likes in CONFUSIONS.items() for like in likes
                   for i in range(5) if "corn0".startswith(shape, i))  # fmt: skip


def test_what_has_no_look_alike_stays():
    assert augmented(OcrNoise(prob=1, fraction=1), ["我爱你", "...", "4 73"]) == ["我爱你", "...", "4 73"]
    assert augmented(OcrNoise(prob=1, fraction=1), [CHINESE])[0].startswith("我喜欢用")
