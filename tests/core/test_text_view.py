"""Texts in words: nothing is lost, and words are what people call words."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core import segment
from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.core.segment import Words, cut, gap_between, has_jieba, is_word, segmented
from whet.core.text_view import TextView
from whet.render.text import render_texts

ODD = [
    "", " ", "\t a \n\n b\r\n", "Hello,world", "a  b\u00a0c\u3000d", "e\u0301te\u0301 naïve", "👩‍👩‍👧 ok 🇨🇳", "مرحبا، كيف حالك؟",

    "שלום עולם",
    "我喜欢用Python写代码，真的。", "日本語のテキスト", "\ud800 lone", "\ufefftext",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L", "\x00\x01",
    "<b>&amp;</b>", "...!!!", "\u202edrow",
]  # fmt: skip


@pytest.mark.parametrize("chinese", ["characters", "auto"])
def test_joined_words_are_the_very_same_string(chinese):
    for text in ODD:
        words = segmented(text, chinese)
        assert str(words) == text
        assert all(words.tokens) and len(words.gaps) == len(words.tokens) + 1
        assert all(gap == "" or gap.isspace() for gap in words.gaps)


@settings(max_examples=300)
@given(st.text(st.characters(codec=None), max_size=60))
def test_any_string_comes_back(text):
    assert str(segmented(text, "characters")) == text
    view = TextView.whole([text], chinese="characters")
    looked_at = view.rewritten(np.array([True]), lambda i, words: words)
    assert render_texts(looked_at) == render_texts(view) == [text]


def test_naughty_strings_come_back(shared):
    texts = json.loads((shared / "badinputs" / "text" / "blns" / "blns.json").read_text("utf-8"))
    assert len(texts) > 400
    view = TextView.whole(texts)
    assert render_texts(view) == texts
    assert render_texts(view.rewritten(np.ones(len(texts), dtype=bool), lambda i, words: words)) == texts


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's a well-known mp3, isn't it?", ["It's", "a", "well-known", "mp3", ",", "isn't", "it", "?"]),
        ("3.14 of 1,000 at 12:30.", ["3.14", "of", "1,000", "at", "12:30", "."]),
        ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
        ("привет, мир", ["привет", ",", "мир"]),
        ("cafe\u0301 👩‍👩‍👧", ["cafe\u0301", "👩‍👩‍👧"]),
        ("用Python写", ["用", "Python", "写"]),
        ("snake_case", ["snake", "_", "case"]),
    ],
)
def test_words_and_punctuation_apart(text, tokens):
    assert list(segmented(text).tokens) == tokens


def test_punctuation_is_no_word():
    assert segmented("Yes, (really)! 好。").words == ["Yes", "really", "好"]
    assert is_word("😀") and is_word("7") and not is_word("，")


def test_chinese_by_characters_and_by_words():
    assert cut("自然语言处理", "characters") == tuple("自然语言处理")
    if not has_jieba():
        pytest.skip("jieba (extra `text`) is not installed")
    import jieba

    for text in ("自然语言处理", "我们一起去公园玩"):
        assert list(cut(text, "words")) == jieba.Tokenizer().lcut(text)
        assert cut(text, "auto") == cut(text, "words")


def test_without_jieba_auto_means_characters_and_words_is_refused(monkeypatch):
    monkeypatch.setattr(segment, "has_jieba", lambda: False)
    assert segmented("喜欢苹果").tokens == tuple("喜欢苹果")
    monkeypatch.setitem(__import__("sys").modules, "jieba", None)
    segment._opened.cache_clear()
    segment._cut_by_jieba.cache_clear()
    with pytest.raises(RecipeError, match=r"pip install whet\[text\]"):
        segmented("喜欢苹果", "words")
    segment._opened.cache_clear()


def test_gaps_follow_the_script():
    assert gap_between("a", "b") == " " and gap_between("我", "你") == "" and gap_between("a", ",") == ""
    assert str(segmented("a b c").without([1])) == "a c"
    assert str(segmented(" a b ").without([0])) == " b "
    assert str(segmented("a b\n").without([1])) == "a\n"
    assert str(segmented("a b").without([0, 1])) == ""
    assert str(segmented("我爱你", "characters").without([1])) == "我你"
    assert str(segmented("one我two", "characters").without([1])) == "one two"
    assert str(segmented("a b").inserted([(0, "x"), (1, "y"), (2, "z")])) == "x a y b z"
    assert str(segmented("我你", "characters").inserted([(1, "爱")])) == "我爱你"
    assert str(segmented("").inserted([(0, "x")])) == "x"
    assert str(segmented("one.").followed_by(segmented("two "))) == "one. two "
    assert str(segmented("好。").followed_by(segmented("坏。"))) == "好。坏。"


@settings(max_examples=200)
@given(st.text("ab ,我。\n", max_size=20), st.data())
def test_taking_out_and_putting_in_keep_the_other_tokens(text, data):
    words = segmented(text, "characters")
    lost = data.draw(st.sets(st.integers(0, max(len(words.tokens) - 1, 0)))) if words.tokens else set()
    fewer = words.without(sorted(lost))
    assert list(fewer.tokens) == [token for place, token in enumerate(words.tokens) if place not in lost]
    assert len(fewer.gaps) == len(fewer.tokens) + 1
    place = data.draw(st.integers(0, len(words.tokens)))
    more = words.inserted([(place, "new")])
    assert list(more.tokens) == [*words.tokens[:place], "new", *words.tokens[place:]]
    assert len(more.gaps) == len(more.tokens) + 1
    assert more.without([place]).tokens == words.tokens


def test_changed_since_compares_what_is_read():
    view = TextView.whole(["one two", "three"])
    same = view.rewritten(np.array([True, True]), lambda i, words: Words(words.tokens, words.gaps))
    assert not same.changed_since(view).any()
    other = same.rewritten(np.array([False, True]), lambda i, words: words.replaced({0: "four"}))
    assert other.changed_since(view).tolist() == [False, True]
    assert render_texts(other) == ["one two", "four"] and render_texts(view) == ["one two", "three"]


def test_draws_of_a_word_depend_on_its_sample_and_place_alone():
    def drawn(texts, indices):
        rng = Rng(5).batch("someone", 2, indices)
        return TextView.whole(texts).per_word(rng, np.ones(len(texts), dtype=bool), 3)

    long = drawn(["a b", "a b c d e f g"], [7, 8])
    assert long.shape == (2, 7, 3)
    assert (drawn(["a b"], [7]) == long[:1, :2]).all()
