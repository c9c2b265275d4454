"""Each check of texts finds what is planted, and nothing in clean texts."""

import csv

import numpy as np
import pytest
from tests.data.audit.texts.conftest import clean_rows, sentence, write

from whet.checking import check
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import audit_survey, check_near_duplicates, clean, probe_shortcuts, write_cleaned
from whet.data.audit.texts.boilerplate import check_boilerplate
from whet.data.audit.texts.lengths import check_lengths
from whet.data.audit.texts.mojibake import broken, check_mojibake
from whet.data.audit.texts.near import near_pairs, shingles, signatures
from whet.data.audit.texts.scripts import SCRIPTS, check_scripts, letters_by_script


def kinds(found):
    return {finding.kind: finding for finding in found}


def test_clean_texts_raise_no_alarm(tmp_path):
    found = check(write(tmp_path / "t.csv", clean_rows()))
    assert not [
        finding for finding in found.findings if finding.severity != "fact" and not finding.kind.startswith("few")
    ]
    assert not found.cleaned.dropped and {probe.name for probe in found.probes} >= {"length"}
    assert not [probe for probe in found.probes if probe.telling]


# --- near-duplicates ----------------------------------------------------------------------------------------------------
LONG = "the quick brown fox jumps over the lazy dog and runs far into the dark green forest"


@pytest.mark.parametrize(
    "one, other, near",
    [
        (LONG, LONG.upper() + " !!", True), (LONG, LONG.replace("forest", "woods"), True),
        (LONG, LONG.replace("quick", "qiuck"), True),
        (LONG, "a slow red hen walks under the busy cat and sits close beside the bright old house", False),
        ("这家酒店的房间很干净服务员也很热情下次还会再来住的", "这家酒店的房间很干净,服务员也很热情!下次还会来住的", True),
        ("这家酒店的房间很干净服务员也很热情下次还会再来住的", "电脑屏幕有一个亮点而且风扇的声音太大了不值这个价钱", False),
        (":)", ":(", False), ("CD Player", "cd  player", True), ("塑料瓶", "塑料瓶子", False),
    ],
)  # fmt: skip
def test_what_is_nearly_one_text(one, other, near):
    others = [text for text, _ in clean_rows(30)]
    assert near_pairs([*others, one, other]).row_P2.tolist() == ([[30, 31]] if near else [])


def test_one_template_is_not_one_text():
    texts = [
        f"What is the name of the man who wrote {book} ?" for book in ("Faust", "Hamlet", "Emma", "Ulysses", "Dune")
    ]
    assert not len(near_pairs([*texts, *(text for text, _ in clean_rows(30))]))


def test_signatures_agree_as_often_as_the_jaccard_index_says():
    one, other = np.arange(1000, dtype=np.uint64), np.arange(300, 1300, dtype=np.uint64)
    agree = np.mean([
        (signatures([s, t])[0] == signatures([s, t])[1]).mean()
        for s, t in ((one + np.uint64(k * 5000), other + np.uint64(k * 5000)) for k in range(12))
    ])  # fmt: skip
    assert agree == pytest.approx(700 / 1300, abs=0.05)
    assert len(shingles(LONG)) == len(set(shingles(LONG).tolist()))


def test_copies_conflicts_and_leaks_and_the_cleaned_table(tmp_path, survey):
    rows = [
        (text, label, ("train", "train", "val", "test")[k // 2 % 4]) for k, (text, label) in enumerate(clean_rows())
    ]
    train, test = (next(row for row in rows if row[2] == part) for part in ("train", "test"))
    rows += [
        (train[0], "b", "train"), (test[0].upper(), "a", "train"), ("=1+1 is what\nhe said, “of course”", "a", "train"),
        ("'=quoted formulas stay what they are", "b", "train"),
    ]  # fmt: skip
    seen = survey(write(tmp_path / "t.csv", rows, ("text", "label", "split")))
    found = kinds(audit_survey(seen))
    assert found["label conflict"].groups == (("t.csv:122", "t.csv:2"),) and "1 text is" in found["label conflict"].text
    (leak,) = found["near-duplicate leak"].groups
    assert set(leak) == {"t.csv:123", f"t.csv:{2 + rows.index(test)}"}
    assert "near-duplicate conflict" not in found
    gone = {entry.id: entry.reason for entry in clean(seen).dropped}
    assert set(gone) == {"t.csv:2", "t.csv:122", "t.csv:123"} and "nearly the same text as" in gone["t.csv:123"]
    table, _ = write_cleaned(seen, clean(seen), tmp_path)
    again = read_data(DataSpec(path=str(table)))
    kept = seen.table.frame.iloc[list(clean(seen).rows)]
    assert again.frame["text"].tolist()[:-1] == kept["text"].tolist()[:-1] and again.classes == ("a", "b")
    assert again.frame["split"].tolist() == kept["split"].tolist()
    with table.open(encoding="utf-8", newline="") as handle:
        assert list(csv.reader(handle))[-2][0].startswith("=1+1")  # as it is: this is data
    assert not clean(survey(table)).dropped and not [f for f in check_near_duplicates(survey(table)) if f.groups]


# --- odd texts ----------------------------------------------------------------------------------------------------------
def test_odd_lengths_and_rows_without_a_text(tmp_path, survey):
    rows = [*clean_rows(), ("ok", "a"), (" ".join(sentence(k, "b") for k in range(60)), "b"), ("  ", "a")]
    found = kinds(check_lengths(survey(write(tmp_path / "t.csv", rows))))
    assert found["very short"].lines() == ["t.csv:122  (2 characters)"]
    assert found["very long"].groups == (("t.csv:123",),)
    assert found["left out"].lines() == ["t.csv:124  (no text)"]


def test_another_script(tmp_path, survey):
    rows = [
        *clean_rows(),
        ("这家酒店的房间很干净", "a"),
        ("вчера он играл в футбол", "b"),
        ("☺☺☺☺", "a"),
        ("the café in 北京", "b"),
    ]
    found = kinds(check_scripts(survey(write(tmp_path / "t.csv", rows))))
    assert found["odd script"].lines() == ["t.csv:122  (in the Chinese script)", "t.csv:123  (in the Cyrillic script)"]


@pytest.mark.parametrize(
    "text, script", [("straße", "Latin"), ("слово", "Cyrillic"), ("汉字", "Chinese"), ("かな", "Japanese"),
        ("한글", "Korean"), ("कखग", "Devanagari"), ("ﺀﺁ", "Arabic")]
)  # fmt: skip
def test_scripts_of_letters(text, script):
    counts = letters_by_script(text + " 12 .,!？（）")
    assert counts[SCRIPTS.index(script)] == counts.sum() == len(text)


@pytest.mark.parametrize(
    "text", ["crème brûlée", "联通公司", "naïve — “quoted” …", "Größe 5 €", "日本語の文章", "🙂👍", "Ünï"]
)
def test_audio_texts_are_not_broken(text):
    assert not broken(text)


@pytest.mark.parametrize("text", ["crème brûlée", "日本語の文章", "it’s “so”"])
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "gb18030"])
def test_texts_read_in_a_wrong_encoding(text, encoding):
    try:
        wrong = text.encode().decode(encoding)
    except UnicodeDecodeError:
        pytest.skip("these bytes are refused, not misread")
    if encoding == "gb18030" and not wrong.startswith("鏃"):
        pytest.skip("western letters misread as GB18030 are told by nothing")
    assert broken(wrong) and broken("so \ufffd")


def test_mojibake_is_named_with_what_it_was(tmp_path, survey):
    rows = [*clean_rows(), ("a rancid crÃ¨me for all", "a")]
    (finding,) = check_mojibake(survey(write(tmp_path / "t.csv", rows)))
    assert finding.lines() == ["t.csv:122  (Ã¨ was originally è)"]


def test_boilerplate_of_one_class(tmp_path, survey):
    phrase = "Sent from my telephone, please forgive errors. "
    rows = [
        (phrase + text if label == "a" and k % 4 == 0 else text, label) for k, (text, label) in enumerate(clean_rows())
    ]
    (finding,) = check_boilerplate(survey(write(tmp_path / "t.csv", rows)))
    assert finding.severity == "warning" and len(finding.groups) == 30 and "50 % of a begin with" in finding.text
    rows = [(f"{text} {phrase}", label) for text, label in clean_rows()]
    assert {f.severity for f in check_boilerplate(survey(write(tmp_path / "u.csv", rows)))} == {"fact"}


# --- shortcuts and labels -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "clue, change",
    [("length", lambda text: text * 3), ("punctuation", lambda text: text.replace(".", "!!")), ("capitals", str.title)],
)
def test_shortcuts(clue, change, tmp_path, survey):
    rows = [(change(text) if label == "a" else text, label) for text, label in clean_rows()]
    probes = {probe.name: probe for probe in probe_shortcuts(survey(write(tmp_path / "t.csv", rows)))}
    assert probes[clue].telling and probes[clue].accuracy > 0.9


def test_suspected_labels(tmp_path):
    rows = clean_rows(240)
    rows[30] = (rows[30][0], "b")
    found = kinds(check(write(tmp_path / "t.csv", rows)).findings)
    assert ("t.csv:32",) in found["suspected labels"].groups[:3]


def test_trec(shared):
    """What is known of it: the same questions twice, some in train and test."""
    seen = read_data(DataSpec(path=str(shared / "data" / "text" / "trec6")))
    from whet.data.audit import audit

    found = kinds(audit(seen, threads=1))
    assert len(found["leak across splits"].groups) >= 5
    assert not {"odd script", "boilerplate"} & set(found)


def test_texts_that_are_not_read_whole_are_counted(survey, tmp_path):
    rows = [*clean_rows(20), *((f"{i} " + "word " * 1023, "ab"[i % 2]) for i in range(3))]
    found = {finding.kind: finding for finding in check_lengths(survey(write(tmp_path / "t.csv", rows)))}
    finding = found["longer than is read"]
    assert finding.severity == "warning" and len(finding.groups) == 3
    assert finding.text.startswith("3 of 23 texts are longer than the 512 words and signs")
