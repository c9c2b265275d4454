"""One finder of columns, for every medium."""

import csv

import pytest
from tests.data.test_text_table import TEXTS
from tests.data.test_text_table import write as write_texts

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data import read_data, read_table
from whet.data.audio_folder import read_audio
from whet.data.text_table import read_texts


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


def of_medium(medium, tmp_path, extra, spec=None):
    """A table of this medium with further columns, {name: cells}, read."""
    first = {"image": "a.png", "audio": "a.wav", "text": "words"}[medium]
    read = {"image": read_table, "audio": read_audio, "text": read_texts}[medium]
    name = "Text" if medium == "text" else "File"
    rows = [(f"{k}{first}", "xy"[k % 2], *cells) for k, cells in enumerate(zip(*extra.values()))]
    path = write(tmp_path / "t.csv", [name, "Label", *extra], rows)
    return read(path, spec or DataSpec())


@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_every_column_is_found_in_any_case(tmp_path, medium):
    extra = {
        "Split": ["Train", "test", "VAL"], "GROUP ": ["p1", "p2", "p3"], "Sample_Weight": ["1", "2", "0.5"],
        "Fold": ["1", "2", "3"], "Camera": ["c", "c", "c"],
    }  # fmt: skip
    table = of_medium(medium, tmp_path, extra)
    assert table.frame["split"].tolist() == ["train", "test", "val"]
    assert table.frame["group"].tolist() == ["p1", "p2", "p3"]
    assert table.frame["weight"].tolist() == [1, 2, 0.5]
    assert table.frame["fold"].tolist() == ["1", "2", "3"]
    (note,) = [note for note in table.notes if "columns" in note]
    assert "split ('Split')" in note and "group ('GROUP ')" in note and "weight ('Sample_Weight')" in note
    assert note.endswith("not used: Camera")


@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_a_weight_is_a_sample_weight_only_where_it_is_named(tmp_path, medium):
    """It may as well be grams."""
    table = of_medium(medium, tmp_path, {"weight": ["120", "3", "40"]})
    assert table.frame["weight"].tolist() == [1, 1, 1]
    assert any("not used: weight (sample weights only with --weight-column weight)" in note for note in table.notes)
    asked = of_medium(medium, tmp_path, {"weight": ["120", "3", "40"]}, DataSpec(weight_column="weight"))
    assert asked.frame["weight"].tolist() == [120, 3, 40]
    assert any("weight" in note and "not used" not in note for note in asked.notes)


@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_columns_are_named_as_the_table_writes_them(tmp_path, medium):
    extra = {"Speaker Info": ["ann", "ann", "bob"], "Set": ["train", "train", "test"]}
    table = of_medium(medium, tmp_path, extra, DataSpec(group_column="Speaker Info", split_column="Set"))
    assert table.frame["group"].tolist() == ["ann", "ann", "bob"]
    assert table.frame["split"].tolist() == ["train", "train", "test"]
    with pytest.raises(DataError, match="Did you mean 'Speaker Info'"):
        of_medium(medium, tmp_path, extra, DataSpec(group_column="speaker info"))


def test_a_given_test_part_spelt_split_is_the_test_part(images):
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.*g"))
    rows = [(file, file.split("/")[0], ("train", "val", "test")[k % 3]) for k, file in enumerate(files)]
    table = read_data(DataSpec(path=str(write(images / "t.csv", ["FILE", "Class", "SPLIT"], rows))))
    assert dict(zip(table.frame["id"], table.frame["split"])) == {file: part for file, _, part in rows}


@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_rows_without_a_label_are_left_out_and_named_and_na_is_a_class(tmp_path, medium):
    first = {"image": "a.png", "audio": "a.wav", "text": "words"}[medium]
    read = {"image": read_table, "audio": read_audio, "text": read_texts}[medium]
    rows = [(f"0{first}", "NA"), (f"1{first}", "None"), (f"2{first}", ""), (f"3{first}", "null"), ("", "NA")]
    table = read(write(tmp_path / "t.csv", ["text" if medium == "text" else "file", "label"], rows), DataSpec())
    assert table.classes == ("NA", "None", "null") and len(table) == 3
    assert table.skipped[0].reason == "no label" and len(table.skipped) == 2


def test_texts_are_parsed_once(tmp_path, monkeypatch):
    """The medium is told by the first rows."""
    from whet.data import cells, read, text_table

    path, seen = write_texts(tmp_path / "t.csv"), []

    def counted(path):
        seen.append(path)
        return cells.read_cells(path)

    monkeypatch.setattr(text_table, "read_cells", counted)
    assert len(read.read_samples(DataSpec(path=str(path)))) == len(TEXTS)
    assert seen == [path]


def test_a_text_that_is_a_file_name_makes_no_table_of_files(tmp_path):
    rows = [("see photo.jpg", "a"), ("photo.jpg", "b"), *((f"words {k}", "ab"[k % 2]) for k in range(20))]
    table = read_data(DataSpec(path=str(write(tmp_path / "t.csv", ["text", "label"], rows))))
    assert table.medium == "text" and len(table) == 22
    rows = [("photo.jpg", "a"), ("words", "b"), ("more words", "a")]
    table = read_texts(write(tmp_path / "t.csv", ["message", "label"], rows), DataSpec())
    assert table.medium == "text"
