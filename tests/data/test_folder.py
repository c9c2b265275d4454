import os

import pytest
from PIL import Image

from whet.core.errors import DataError
from whet.data import read_folder


def picture(path, colour=(1, 2, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)


def test_class_folders(tmp_path):
    for name in ("b/2.png", "a/1.JPG", "a/deep/er/3.webp", "a/.hidden.png", ".git/x.png", "__MACOSX/y.png"):
        picture(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    table = read_folder(tmp_path)
    assert table.frame["id"].tolist() == ["a/1.JPG", "a/deep/er/3.webp", "b/2.png"]
    assert table.classes == ("a", "b")
    assert table.label_N.tolist() == [0, 0, 1]
    assert "1 .txt" in table.notes[0]
    assert "'empty' holds no pictures" in table.notes[1]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "valid", "testing"), ("train", "dev")])
def test_split_folders(tmp_path, names):
    for split in names:
        for label in ("x", "y"):
            picture(tmp_path / split / label / "1.png")
    table = read_folder(tmp_path)
    assert table.classes == ("x", "y")
    assert set(table.frame["split"]) == set(["train", "val", "test"][: len(names)])


def test_a_class_called_test_beside_others_is_a_class(tmp_path):
    picture(tmp_path / "test" / "1.png")
    picture(tmp_path / "exam" / "1.png")
    assert read_folder(tmp_path).classes == ("exam", "test")


def test_a_folder_without_classes_says_what_is_accepted(tmp_path):
    picture(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"one folder a class.*\.jpg.*table"):
        read_folder(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf_8(tmp_path):
    picture(tmp_path / "a" / "ok.png")
    picture(tmp_path / "b" / "ok.png")
    os.rename(os.fsencode(tmp_path / "a" / "ok.png"), os.fsencode(tmp_path / "a") + b"/caf\xe9.png")
    table = read_folder(tmp_path)
    table.frame["id"].iloc[0].encode("utf-8")
    assert os.path.exists(table.frame["path"].iloc[0])
