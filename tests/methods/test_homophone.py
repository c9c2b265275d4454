import pytest
from tests.methods.texts import CHINESE, ENGLISH, augmented, keeps_the_rules, share_of_words_changed

from whet.core.errors import RecipeError
from whet.methods import Homophone
from whet.methods.augment_text import homophone
from whet.methods.augment_text.homophone import common_characters, homophones

pypinyin = pytest.importorskip("pypinyin", reason="the extra `text` is not installed")


def test_rules():
    keeps_the_rules(Homophone)


def test_the_common_characters_are_level_one_of_the_standard():
    assert len(common_characters()) == 3755 and common_characters()[0] == "啊" and common_characters()[-1] == "座"


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    texts = ["我喜欢吃苹果香蕉西瓜" * 10] * 100
    share = share_of_words_changed(Homophone(prob=1, fraction=fraction), texts, chinese="characters")
    assert share == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("same_tone", [False, True])
def test_what_is_put_in_audio_alike(same_tone):
    style = pypinyin.Style.TONE3 if same_tone else pypinyin.Style.NORMAL
    outs = augmented(Homophone(prob=1, fraction=1, same_tone=same_tone), [CHINESE] * 30, chinese="characters")
    for out in outs:
        assert len(out) == len(CHINESE) and out != CHINESE
        for old, new in zip(CHINESE, out):
            assert pypinyin.lazy_pinyin(old, style=style) == pypinyin.lazy_pinyin(new, style=style)
    assert "他" in homophones(True)["她"] and "妈" not in homophones(True)["马"] and "妈" in homophones(False)["马"]


def test_other_languages_stay():
    assert augmented(Homophone(prob=1, fraction=1), [ENGLISH]) == [ENGLISH]


def test_without_pypinyin_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pypinyin", None)
    homophone._homophones.cache_clear()
    with pytest.raises(RecipeError, match=r"pip install whet\[text\]"):
        augmented(Homophone(prob=1), ["我"])
    assert augmented(Homophone(prob=0), ["我"]) == ["我"]
