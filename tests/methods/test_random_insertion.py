from collections import Counter

import pytest
from tests.methods.texts import augmented, keeps_the_rules

from whet.methods import RandomInsertion


@pytest.fixture
def synonyms(tmp_path):
    path = tmp_path / "synonyms.csv"
    path.write_text("w1,s1\nw2,s2a,s2b\nquick,fast\n喜欢,喜爱\n玩,耍\n", "utf-8")
    return str(path)


def test_rules(synonyms):
    keeps_the_rules(RandomInsertion, path=synonyms)


@pytest.mark.parametrize(("words", "alpha", "count"), [(4, 0.1, 1), (20, 0.1, 2), (30, 0.5, 15)])
def test_inserts_so_many_synonyms_of_the_text_s_own_words(synonyms, words, alpha, count):
    text = " ".join(f"w{i}" for i in range(words))
    for result in augmented(RandomInsertion(prob=1, fraction=alpha, path=synonyms), [text] * 40):
        new = Counter(result.split()) - Counter(text.split())
        assert sum(new.values()) == count and set(new) <= {"s1", "s2a", "s2b"}
        assert [word for word in result.split() if word.startswith("w")] == text.split()


def test_every_place_before_a_word_and_every_synonym_comes_up(synonyms):
    results = set(augmented(RandomInsertion(prob=1, path=synonyms), ["w2 x."] * 100))
    assert results == {"s2a w2 x.", "s2b w2 x.", "w2 s2a x.", "w2 s2b x."}


def test_a_text_without_synonyms_stays(synonyms):
    assert augmented(RandomInsertion(prob=1, path=synonyms), ["none here", "", "!"]) == ["none here", "", "!"]
