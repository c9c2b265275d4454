import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.text import MAX_CHARACTERS, UnreadableText, clean_text, decode

CHINESE = "废旧电池属于有害垃圾,请投入红色的垃圾桶。"
WESTERN = "Les déchets dangereux – piles, médicaments – sont recyclés à l'écart; größere Stücke kosten 5 €."


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (CHINESE, "utf-8", "UTF-8"),
        (CHINESE, "utf-8-sig", "UTF-8"),
        (WESTERN, "utf-8", "UTF-8"),
        (CHINESE, "utf-16", "UTF-16"),
        ("\ufeff" + WESTERN, "utf-16-be", "UTF-16"),
        (CHINESE, "gb18030", "GB18030"),
        (3 * CHINESE + "5 €", "gb18030", "GB18030"),  # a character that GB 2312 lacks, among many that it has
        (WESTERN, "cp1252", "cp1252"),
        ("Ärger über Öl", "latin-1", "cp1252"),
        (
            "naïveté étudiée, élève à l'école, fiancée créée",
            "cp1252",
            "cp1252",
        ),  # accents that pair up as GB18030 with letters
        ("plain", "ascii", "UTF-8"),
    ],
)
def test_the_encoding_is_detected_from_the_bytes(text, encoding, named):
    assert decode(text.encode(encoding)) == (text.removeprefix("\ufeff"), named)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x81\x8d\x8f", "neither UTF-8"),
        ("text".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("text".encode("utf-32"), "UTF-32 is not accepted"),
        (b"\xef\xbb\xbfcaf\xe9", "it has the byte order mark of UTF-8, but is not valid"),
        (b"\xff\xfea", "it has the byte order mark of UTF-16"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_the_reason(data, message):
    with pytest.raises(UnreadableText, match=message):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_or_our_error(data):
    try:
        text, encoding = decode(data)
    except UnreadableText as error:
        assert str(error)
    else:
        assert encoding in ("UTF-8", "UTF-16", "GB18030", "cp1252")
        assert isinstance(text, str)


def test_line_ends_nul_and_half_pairs():
    clean = clean_text("one\r\ntwo\rthree\nfour\0 \ud800!")
    assert clean.text == "one\ntwo\nthree\nfour \ufffd!"
    assert clean.had_nul
    assert not clean.cut
    clean.text.encode()


def test_a_text_too_long_is_cut_at_the_stated_length():
    assert not clean_text("x" * MAX_CHARACTERS).cut
    long = clean_text("ab" * MAX_CHARACTERS)
    assert long.cut
    assert len(long.text) == MAX_CHARACTERS


@pytest.mark.parametrize("text", ["", " \t\n", "\u3000\u2003", "\u200b\ufeff\u200d", "\0\x1b"])
def test_what_shows_nothing_is_blank(text):
    assert clean_text(text).blank


@pytest.mark.parametrize("text", [".", "0", "👩‍👩‍👧", "\u202ertl", "̷̸z", "田"])
def test_what_shows_anything_is_not(text):
    assert not clean_text(text).blank


def test_naughty_strings_pass_as_they_are(shared):
    folder = shared / "badinputs" / "text" / "blns"
    naughty = json.loads(decode((folder / "blns.json").read_bytes())[0])
    assert len(naughty) > 400
    for text in naughty:
        assert clean_text(text).text == text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        assert not (clean_text(text).blank and any(character.isalnum() for character in text))
    assert sum(clean_text(text).blank for text in naughty) < 10  # the empty one, white space and format characters
    for name in ("blns.txt", "blns.base64.txt", "blns.base64.json"):
        assert decode((folder / name).read_bytes())[1] == "UTF-8"
