"""What is read where several things might be meant, and what is said of it."""

import csv

import numpy as np
import pytest
import soundfile
from PIL import Image

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.read import read_samples


def image(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, value, value)).save(path)


def write(path, rows, header=("file", "label")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


@pytest.fixture
def flat(tmp_path):
    """Twelve images in one folder, and their names and labels."""
    for k in range(12):
        image(tmp_path / "data" / "images" / f"{k}.png", 9 * k)
    return tmp_path / "data", [(f"{k}.png", "xy"[k % 2]) for k in range(12)]


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_a_folder_of_a_table_and_its_images_is_read_by_the_table(flat, prefix):
    root, rows = flat
    write(root / "labels.csv", [(prefix + file, label) for file, label in rows])
    table = read_data(DataSpec(path=str(root)))
    assert table.classes == ("x", "y") and len(table) == 12
    assert "data is read through its table labels.csv" in table.notes[0]


def test_a_table_beside_class_folders_is_not_read_and_that_is_said(flat):
    root, rows = flat
    for k in range(12):
        image(root / "other" / f"{k}.png", 9 * k + 1)
    write(root / "labels.csv", rows)
    table = read_samples(DataSpec(path=str(root)))
    assert table.classes == ("images", "other")
    assert any("labels.csv beside the class folders: not read" in note for note in table.notes)


def test_the_root_of_a_tables_files_is_named_or_found(flat, tmp_path):
    root, rows = flat
    far = write(tmp_path / "elsewhere" / "t.csv", rows)
    with pytest.raises(DataError, match=r"none of the 12 files can be read.*--files-root"):
        read_data(DataSpec(path=str(far)))
    table = read_data(DataSpec(path=str(far), files_root=str(root / "images")))
    assert len(table) == 12 and not table.skipped
    found = read_data(DataSpec(path=str(write(root / "t.csv", rows))))
    assert any("its files were found in images/" in note for note in found.notes)
    with pytest.raises(DataError, match="no such folder"):
        read_data(DataSpec(path=str(far), files_root="/nowhere/at/all"))


def test_paths_of_windows_are_paths(flat):
    root, rows = flat
    path = write(root / "t.csv", [("images\\" + file, label) for file, label in rows])
    table = read_data(DataSpec(path=str(path)))
    assert table.frame["id"].tolist()[0].startswith("images/") and not table.skipped
    assert any("12 names with backslashes" in note for note in table.notes)


def test_names_of_one_class_spelt_in_two_ways_are_warned_of(tmp_path):
    for k, name in enumerate(("Glass", "glass", "paper")):
        for i in range(4):
            image(tmp_path / name / f"{i}.png", 40 * k + i)
    table = read_samples(DataSpec(path=str(tmp_path)))
    (warning,) = table.warnings
    assert "'Glass' (4) / 'glass' (4)" in warning and warning in table.notes


def texts(tmp_path, labels):
    rows = [(f"words {k}", label) for k, label in enumerate(labels)]
    return read_samples(DataSpec(path=str(write(tmp_path / "t.csv", rows, ("text", "label")))))


def test_whole_numbers_written_as_decimals_are_whole_numbers(tmp_path):
    assert texts(tmp_path, ["0.0", "1.0", "2.0"] * 3).classes == ("0", "1", "2")
    table = texts(tmp_path, ["1", "1.0", "2"] * 3)
    assert table.classes == ("1", "2") and any("1.0 is the class 1" in note for note in table.notes)
    assert texts(tmp_path, ["0.5", "1.0", "2.0"] * 3).classes == ("0.5", "1.0", "2.0")
    table = texts(tmp_path, ["1", "1.0", "none"] * 3)
    assert table.classes == ("1", "1.0", "none") and "'1' (3) / '1.0' (3)" in table.warnings[0]


def test_many_numbers_are_a_number_to_predict(tmp_path):
    table = texts(tmp_path, [str(18 + 2 * (k % 36)) for k in range(200)])
    assert any("all 36 labels are numbers, from 18 to 88: a regression target?" in text for text in table.warnings)
    assert not texts(tmp_path, [str(k % 36) for k in range(200)]).warnings  # the numbers of 36 classes
    assert not texts(tmp_path, [str(1 + k % 5) for k in range(50)]).warnings  # stars


def test_a_folder_of_text_tables_stays_one_when_runs_are_written_into_it(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.csv", [(f"{part} {k}", "ab"[k % 2]) for k in range(30)], ("text", "label"))
    run = tmp_path / "runs" / "texts-1"
    run.mkdir(parents=True)
    (run / "requested.yaml").write_text("{}")
    image(run / "samples" / "1.png", 3)
    table = read_data(DataSpec(path=str(tmp_path)))
    assert table.medium == "text" and set(table.frame["split"]) == {"train", "val", "test"}


def test_speakers_in_a_named_column_with_files_elsewhere(tmp_path):
    rows = []
    for k in range(24):
        name = f"{k}.wav"
        (tmp_path / "wav").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "wav" / name, np.full(800, k / 50), 8000)
        rows.append((name, "xy"[k % 2], f"speaker {k // 4}"))
    path = write(tmp_path / "lists" / "t.csv", rows, ("Filename", "Emotion", "Speaker Info"))
    spec = DataSpec(
        path=str(path), files_root=str(tmp_path / "wav"), label_column="Emotion", group_column="Speaker Info"
    )
    table = read_data(spec)
    assert table.medium == "audio" and len(table) == 24
    assert (table.frame.groupby("group")["split"].nunique() == 1).all()
    assert set(table.frame["split"]) == {"train", "val", "test"}
