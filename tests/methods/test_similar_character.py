import pytest
from tests.methods.texts import ENGLISH, augmented, keeps_the_rules, share_of_words_changed

from whet.core.errors import RecipeError
from whet.methods import SimilarCharacter
from whet.methods.augment_text.similar_character import look_alikes


def test_rules():
    keeps_the_rules(SimilarCharacter)


def test_the_table_is_of_chinese_characters_and_goes_both_ways():
    table = look_alikes()
    assert len(table) > 500
    assert all(one not in others and all(one in table[other] for other in others) for one, others in table.items())
    assert all("\u4e00" <= one <= "\u9fff" for one in table)
    assert set(table["未"]) == {"末"} and {"戊", "戍"} == set(table["戌"])


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_words_is_the_fraction(fraction):
    texts = ["未末己已入人" * 20] * 100
    share = share_of_words_changed(SimilarCharacter(prob=1, fraction=fraction), texts, chinese="characters")
    assert share == pytest.approx(fraction, abs=0.02)


def test_own_groups(tmp_path):
    path = tmp_path / "groups.txt"
    path.write_text("甲由申\n瓶饼", "utf-8")
    method = SimilarCharacter(prob=1, fraction=1, path=str(path))
    assert set(augmented(method, ["瓶甲未"] * 50, chinese="characters")) == {"饼由未", "饼申未"}


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("甲 由", "no group")])
def test_bad_groups_are_named(tmp_path, content, message):
    path = tmp_path / "groups.txt"
    if content:
        path.write_text(content, "utf-8")
    with pytest.raises(RecipeError, match=message):
        augmented(SimilarCharacter(prob=1, path=str(path)), ["甲"])


def test_other_languages_stay():
    assert augmented(SimilarCharacter(prob=1, fraction=1), [ENGLISH]) == [ENGLISH]
