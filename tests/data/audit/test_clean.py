import csv
import shutil

import pytest
from tests.data.audit.conftest import save, scene

from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import Cleaned, check_duplicates, check_near_duplicates, clean, survey_images, write_cleaned
from whet.data.audit.texts.survey import survey_texts


@pytest.fixture
def faulty(tmp_path):
    root = tmp_path / "data"
    for part, start in (("train", 0), ("val", 12), ("test", 24)):
        for number in range(start, start + 12):
            save(scene(number), root / part / "ab"[number % 2] / f"{number}.jpg")
    shutil.copy(root / "train" / "a" / "0.jpg", root / "train" / "a" / "copy.jpg")
    shutil.copy(root / "test" / "a" / "24.jpg", root / "train" / "a" / "leak.jpg")
    save(scene(26), root / "train" / "a" / "near.jpg", quality=60)
    shutil.copy(root / "test" / "b" / "25.jpg", root / "train" / "a" / "conflict.jpg")
    save(scene(4, (192, 256)), root / "train" / "a" / "large.jpg")
    (root / "train" / "a" / "bad.jpg").write_bytes(b"<html>")
    (root / "train" / "a" / "empty.jpg").write_bytes(b"")
    return root


def test_the_rule(faulty):
    seen = survey_images(read_data(DataSpec(path=str(faulty))), 2)
    cleaned = clean(seen)
    gone = {entry.id: entry.reason for entry in cleaned.dropped}
    assert set(gone) == {
        "train/a/copy.jpg", "train/a/leak.jpg", "train/a/near.jpg", "train/a/conflict.jpg", "test/b/25.jpg", "train/a/bad.jpg",
        "train/a/empty.jpg", "train/a/4.jpg",
    }  # fmt: skip
    assert gone["train/a/leak.jpg"] == "a copy of test/a/24.jpg in test"
    assert gone["train/a/near.jpg"] == "nearly the same image as test/a/26.jpg in test"
    assert "has the label b" in gone["train/a/conflict.jpg"] and "has the label a" in gone["test/b/25.jpg"]
    assert gone["train/a/4.jpg"] == "nearly the same image as train/a/large.jpg"  # the larger stays
    assert gone["train/a/empty.jpg"] == "cannot be read: empty file"
    assert len(cleaned.rows) + len(cleaned.dropped) == len(seen.table) + len(seen.table.skipped)


def test_what_is_written_reads_back_clean(faulty, tmp_path):
    before = {path: path.read_bytes() for path in faulty.rglob("*") if path.is_file()}
    seen = survey_images(read_data(DataSpec(path=str(faulty))), 2)
    out = tmp_path / "out"
    out.mkdir()
    table, dropped = write_cleaned(seen, clean(seen), out)
    again = read_data(DataSpec(path=str(table)))
    assert again.classes == ("a", "b") and len(again) == len(clean(seen).rows)
    assert again.notes == ("cleaned.csv: columns file, label, split",)  # every sample kept its part
    assert not check_duplicates(again) and not check_near_duplicates(survey_images(again, 2))
    assert not clean(survey_images(again, 2)).dropped
    with dropped.open() as handle:
        assert {row["reason"] for row in csv.DictReader(handle)} >= {"cannot be read: empty file"}
    assert str(tmp_path) not in table.read_text()
    assert {path: path.read_bytes() for path in faulty.rglob("*") if path.is_file()} == before


def test_classes_that_a_spreadsheet_would_run_keep_their_names(tmp_path):
    for number in range(24):
        save(scene(number), tmp_path / "data" / ("-plus" if number % 2 else "=sum") / f"{number}.jpg")
    seen = survey_images(read_data(DataSpec(path=str(tmp_path / "data"))), 2)
    table, _ = write_cleaned(seen, clean(seen), tmp_path)
    assert ",=sum," in table.read_text()  # as it is: this is data
    assert read_data(DataSpec(path=str(table))).classes == seen.table.classes


def test_a_cleaned_table_of_texts_round_trips_exactly(tmp_path):
    """Texts and classes that a spreadsheet would run, quotes and line ends in texts, and every column with an effect."""
    texts = [
        "@user hello",
        "'-1 already quoted",
        "=1+1",
        'she said "no",\nand left',
        "+49 30",
        "\ttab first",
        "a;b|c",
        "NA",
    ]
    rows = [(f"{text} {k}", ("-1", "@b", "NA")[k % 3], f"p{k // 2}", 0.5 + k) for k, text in enumerate(texts * 6)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("text", "label", "group", "sample_weight"), *rows])
    before = read_data(DataSpec(path=str(tmp_path / "t.csv")))
    seen = survey_texts(before, 1)
    (tmp_path / "out").mkdir()
    path, _ = write_cleaned(seen, Cleaned(tuple(range(len(before))), ()), tmp_path / "out")
    again = read_data(DataSpec(path=str(path)))
    columns = ["text", "label", "split", "group", "weight", "digest"]
    assert again.classes == before.classes
    assert again.frame[columns].to_dict("list") == before.frame[columns].to_dict("list")
