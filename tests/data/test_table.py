import csv

import pandas as pd
import pytest

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data import read_data, read_table


def rows(images):
    return [(p.relative_to(images).as_posix(), p.parent.name) for p in sorted(images.rglob("*.*g"))]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables_of_every_kind(images, suffix):
    frame = pd.DataFrame(rows(images), columns=["file", "label"])
    path = images / f"table{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    table = read_data(DataSpec(path=str(path)))
    assert len(table) == 60
    assert table.classes == ("glass", "metal", "paper")
    assert set(table.frame["split"]) == {"train", "val", "test"}


def test_columns_by_usual_names_by_given_names_and_missing(images):
    frame = pd.DataFrame(rows(images), columns=["Image_Path", "Kind"])
    frame.to_csv(images / "t.csv", index=False)
    with pytest.raises(
        DataError, match=r"no label column found among Image_Path, Kind; specify it with --label-column"
    ):
        read_table(images / "t.csv")
    assert len(read_table(images / "t.csv", DataSpec(label_column="Kind"))) == 60
    with pytest.raises(DataError, match="Did you mean 'Kind'"):
        read_table(images / "t.csv", DataSpec(label_column="kinds"))


def test_split_group_and_weight_columns(images):
    frame = pd.DataFrame(rows(images), columns=["file", "label"])
    frame["split"] = ["train", "Validation", "test"] * 20
    frame["group"] = [f"g{i // 2}" for i in range(60)]
    frame["sample_weight"] = [0.5] * 60
    frame.to_csv(images / "t.csv", index=False)
    table = read_data(DataSpec(path=str(images / "t.csv")))
    assert table.frame["split"].value_counts().to_dict() == {"train": 20, "val": 20, "test": 20}
    assert set(table.frame["weight"]) == {0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n", "no rows"),
        ("file,label\na.png,\n", r"no file with a label among 1 rows; the first left out: a.png: no label"),
        ("file,label,split\na.png,x,tarin\n", r"row 2: split 'tarin' is unknown"),
        ("file,label,sample_weight\na.png,x,-1\n", r"row 2: sample_weight '-1'"),
        ("file,label,sample_weight\na.png,x,much\n", r"row 2: sample_weight 'much'"),
        ("file,label\na.png,x\na.png,y\n", r"listed more than once, for example a.png"),
        ('file,label\n"a.png,x\n', "not readable as a table"),
    ],
)
def test_bad_tables_name_the_row(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv")


def test_a_table_in_another_encoding_is_read_as_a_table_of_texts_is(tmp_path):
    (tmp_path / "t.csv").write_bytes("file,label\na.png,café\nb.png,thé\n".encode("latin-1"))
    table = read_table(tmp_path / "t.csv")
    assert table.classes == ("café", "thé") and "encoding: cp1252" in table.notes


def test_missing_files_are_skipped_and_named(images):
    with (images / "t.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("file", "label"), *rows(images), ("nowhere.png", "glass")])
    table = read_data(DataSpec(path=str(images / "t.csv")))
    assert [(s.id, s.reason) for s in table.skipped] == [("nowhere.png", "No such file or directory")]
    assert len(table) == 60


@pytest.mark.parametrize(
    ("path", "message"),
    [(None, "no data given"), ("/nowhere/at/all", "does not exist"), ("{tmp}/x.xlsx", "neither a folder nor a table")],
)
def test_what_is_no_data(tmp_path, path, message):
    (tmp_path / "x.xlsx").write_text("")
    with pytest.raises(DataError, match=message):
        read_data(DataSpec(path=path.format(tmp=tmp_path) if path else None))


def test_the_fingerprint_is_of_the_samples_not_of_their_place(images, tmp_path):
    import shutil

    shutil.copytree(images, tmp_path / "elsewhere")
    one, other = read_data(DataSpec(path=str(images))), read_data(DataSpec(path=str(tmp_path / "elsewhere")))
    assert one.fingerprint() == other.fingerprint()
    (tmp_path / "elsewhere" / "glass" / "000.png").write_bytes((images / "glass" / "002.png").read_bytes())
    assert read_data(DataSpec(path=str(tmp_path / "elsewhere"))).fingerprint() != one.fingerprint()
