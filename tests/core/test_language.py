"""The catalogue of each language is complete, and its sentences say what they are given."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup, escape
from tests.core.sentences import TEMPLATES, Sentences, sentences

from whet.core import language
from whet.core.errors import RecipeError
from whet.core.language import (
    LANGUAGES,
    english,
    english_n,
    in_language,
    language_of_locale,
    named,
    tr,
    tr_n,
    translated,
)

OTHERS = [name for name in LANGUAGES if name != "en"]


@pytest.fixture(scope="module")
def source() -> Sentences:
    return sentences()


def test_sentences_are_literals(source: Sentences) -> None:
    """What is put together at run time cannot be found in a catalogue."""
    assert source.wrong == []
    assert len(source.shown) > 300 and len(source.recorded) > 30


@pytest.mark.parametrize("name", OTHERS)
def test_no_sentence_is_missing_and_none_is_left_over(name: str, source: Sentences) -> None:
    known = language._catalogue(name)
    assert set(known.shown) == source.shown
    assert set(known.recorded) == source.recorded


@pytest.mark.parametrize("name", OTHERS)
def test_translations_name_the_values_of_their_sentence(name: str) -> None:
    known = language._catalogue(name)
    for key, translation in [*known.shown.items(), *known.recorded.items()]:
        several = key.rpartition(" | ")[2]
        assert {field for _, field, _, _ in language.parts(translation) if field} == {
            field for _, field, _, _ in language.parts(several) if field
        }, key
        assert all(not form and not kind for _, _, form, kind in language.parts(translation)), key


@pytest.mark.parametrize("words", ["<{}>", "a, b {} 5 %"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_recorded_sentence_is_known_by_its_text(name: str, words: str) -> None:
    """No other sentence matches what this one made, also if its values hold the signs that separate them."""
    known = language._catalogue(name)
    for key, translation in known.recorded.items():
        for sentence in key.split(" | "):
            values = {
                field: "7" if form or field == "n" else f"<{field} x>" if kind else words.format(field)
                for _, field, form, kind in language.parts(sentence)
                if field
            }
            text = language._filled(sentence, values)
            assert known.of_text(text) == language._filled(translation, {"n": "1", **values}), sentence


def test_values_of_recorded_sentences_are_apart(source: Sentences) -> None:
    """Two values side by side cannot be told apart in the text; and a sentence without words would match anything."""
    for key in source.recorded:
        for sentence in key.split(" | "):
            pieces = language.parts(sentence)
            assert all(text for (text, _, _, _), (_, before, _, _) in zip(pieces[1:], pieces) if before), sentence
            assert len(re.findall("[A-Za-z]", "".join(text for text, *_ in pieces))) >= 3 or len(pieces) == 1, sentence


@pytest.mark.parametrize("name", OTHERS)
def test_what_no_sentence_made_stays_as_it_is(name: str) -> None:
    for text in (
        "glass (2).jpg",
        "photos/a b.png: cannot identify the image",
        "paper, glass, metal",
        "a: b",
        "0.01 … 1, log",
        "",
    ):
        assert language._catalogue(name).of_text(text) == text


def test_a_list_of_names_is_no_sentence() -> None:
    """A class may be called like a word of the catalogue."""
    with in_language("zh"):
        text = english("not searched for label errors, {why!t}: {names!n}", why="", names=named(["test"], 5))
        assert translated(text).endswith("：test")
        assert named(list("abc"), 2) == "a, b and 1 more"
        assert language._catalogue("zh").of_names("a, b and 1 more") == "a, b，另有 1 个"


def test_templates_have_no_text_of_their_own() -> None:
    for path in TEMPLATES:
        text = re.sub(r"\{[{%].*?[}%]\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"<style>.*?</style>|<b>whet</b>|<[^>]*>|&\w+;", "", text, flags=re.DOTALL)
        assert re.findall(r"[A-Za-z]{2,}", text) == [], path.name


def test_a_sentence_in_the_current_language() -> None:
    assert tr("{n:,} excluded", n=1234) == "1,234 excluded"
    assert tr_n("{n:g} epoch", "{n:g} epochs", 1) == "1 epoch" and tr_n("{n:g} epoch", "{n:g} epochs", 2) == "2 epochs"
    with in_language("zh"):
        assert tr("{n:,} excluded", n=1234) == "排除 1,234 个"
        assert tr_n("{n:g} epoch", "{n:g} epochs", 1) == "1 轮"
    assert tr("{n:,} excluded", n=1) == "1 excluded"


def test_values_in_markup_are_escaped_and_sentences_are_not() -> None:
    show, show_n = language.markup(lambda value: str(escape(value)), Markup)
    with in_language("zh"):
        assert show("evidence for <b>{name}</b>", name="<i>") == Markup("支持 <b>&lt;i&gt;</b> 的依据")
        assert show("evidence for <b>{name}</b>", name=Markup("<i>")) == Markup("支持 <b><i></b> 的依据")
    assert show("evidence for <b>{name}</b>", name="a & b") == Markup("evidence for <b>a &amp; b</b>")
    assert show_n("{n:,} step", "{n:,} steps", 1000) == Markup("1,000 steps")


def test_files_and_events_are_english_and_are_translated_when_shown() -> None:
    with in_language("zh"):
        text = english("{n} {part!t} samples", n=431, part=english("test"))
        assert text == "431 test samples"
        assert translated(text) == "431 个测试样本"
        assert translated("the name of a class") == "the name of a class"
        assert tr("{n} {part!t} samples", n=3, part="test") == "3 个测试样本"
    assert translated(text) == text
    assert english_n("{n} test", "{n} tests", 1) == "1 test"


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown language 'fr'.* Accepted: en, zh"), in_language("fr"):
        pass


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "", "LANGUAGE": "fr:zh_CN:en"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en"}, "en"),
    ],
)
def test_the_locale_names_the_language(environment: dict[str, str], expected: str) -> None:
    assert language_of_locale(environment) == expected
