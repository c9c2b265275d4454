import os

import pytest
from PIL import Image

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data import read_folder


def image(path, colour=(1, 2, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)


def test_class_folders(tmp_path):
    for name in ("b/2.png", "a/1.JPG", "a/deep/er/3.webp", "a/.hidden.png", ".git/x.png", "__MACOSX/y.png"):
        image(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    table = read_folder(tmp_path)
    assert table.frame["id"].tolist() == ["a/1.JPG", "a/deep/er/3.webp", "b/2.png"]
    assert table.classes == ("a", "b")
    assert table.label_N.tolist() == [0, 0, 1]
    assert "1 .txt" in table.notes[0]
    assert "'empty' contains no images" in table.notes[1]
    assert "3 hidden, skipped: .git, __MACOSX, a/.hidden.png" in table.notes[2]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "valid", "testing"), ("train", "dev")])
def test_split_folders(tmp_path, names):
    for split in names:
        for label in ("x", "y"):
            image(tmp_path / split / label / "1.png")
    table = read_folder(tmp_path)
    assert table.classes == ("x", "y")
    assert set(table.frame["split"]) == set(["train", "val", "test"][: len(names)])


def test_a_class_called_test_beside_others_is_a_class(tmp_path):
    image(tmp_path / "test" / "1.png")
    image(tmp_path / "exam" / "1.png")
    assert read_folder(tmp_path).classes == ("exam", "test")


def test_a_folder_without_classes_says_what_is_accepted(tmp_path):
    image(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"one folder per class.*\.jpg.*table"):
        read_folder(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_not_utf_8(tmp_path):
    image(tmp_path / "a" / "ok.png")
    image(tmp_path / "b" / "ok.png")
    os.rename(os.fsencode(tmp_path / "a" / "ok.png"), os.fsencode(tmp_path / "a") + b"/caf\xe9.png")
    table = read_folder(tmp_path)
    table.frame["id"].iloc[0].encode("utf-8")
    assert os.path.exists(table.frame["path"].iloc[0])


def images(root, *names):
    for k, name in enumerate(names):
        image(root / name, (k, k, k))
    return root


@pytest.mark.parametrize("beside", ["extra", "other/x"])
def test_what_lies_beside_train_and_test_is_no_class(tmp_path, beside):
    images(
        tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", f"{beside}/1.png", f"{beside}/2.png"
    )
    with pytest.raises(
        DataError, match=r"(extra|other)/ \(2 images\) beside test/, train/: neither train, val nor test"
    ):
        read_folder(tmp_path)


@pytest.mark.parametrize("folder", ["unlabeled", "train/unsup"])
def test_what_is_called_unlabelled_is_left_out_and_counted(tmp_path, folder):
    """As in the folders of the Large Movie Review Dataset: train/{pos,neg,unsup}, test/{pos,neg}."""
    images(
        tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", f"{folder}/1.png", f"{folder}/2.png"
    )
    table = read_folder(tmp_path)
    assert table.classes == ("a", "b") and len(table) == 4
    assert any(f"2 images in {folder}/ have no label and were left out" in note for note in table.notes)


def test_train_and_test_without_class_folders_are_no_classes(tmp_path):
    images(tmp_path, "train/1.png", "train/2.png", "test/1.png")
    with pytest.raises(DataError, match=r"no images in class folders found; the first left out: test/1.png: is not in"):
        read_folder(tmp_path)


def test_a_folder_packed_one_level_too_deep_is_opened(tmp_path):
    images(tmp_path, "photos/photos/a/1.png", "photos/photos/b/1.png")
    table = read_folder(tmp_path)
    assert table.classes == ("a", "b") and table.frame["id"].tolist() == ["a/1.png", "b/1.png"]
    assert sum("contains only one folder" in note for note in table.notes) == 2


def test_samples_beside_class_folders_and_of_kinds_that_are_not_read_are_named(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png", "loose.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "phone.HEIC").write_bytes(b"x")
    (tmp_path / "a" / "notes.xml").write_bytes(b"x")
    table = read_folder(tmp_path)
    assert table.classes == ("a", "b")
    reasons = {entry.id: entry.reason for entry in table.skipped}
    assert reasons["loose.png"] == "is not in a class folder and so has no class"
    assert reasons["c/phone.HEIC"].startswith(".heic is not read; accepted: .bmp")
    assert set(reasons) == {"loose.png", "c/phone.HEIC"}  # an annotation is counted, and is no sample
    assert any("1 .xml" in note for note in table.notes) and any(
        "2 files were left out" in note for note in table.notes
    )


def test_names_with_underscores_are_classes(tmp_path):
    assert read_folder(images(tmp_path, "__background__/1.png", "b/1.png")).classes == ("__background__", "b")


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_are_followed_once_and_predict_sees_the_same_files(tmp_path):
    from whet.data.inputs import read_inputs

    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    images(data, "a/1.png", "b/1.png")
    images(elsewhere, "2.png", "deep/3.png")
    (data / "a" / "more").symlink_to(elsewhere)
    (data / "b" / "loop").symlink_to(data)
    (data / "b" / "4.png").symlink_to(elsewhere / "2.png")
    table = read_folder(data)
    assert table.frame["id"].tolist() == ["a/1.png", "a/more/2.png", "a/more/deep/3.png", "b/1.png", "b/4.png"]
    assert any("links to folders that were already read, skipped: b/loop" in note for note in table.notes)
    assert sorted(read_inputs(data, DataSpec(), "image")["path"]) == sorted(table.frame["path"])


def test_a_folder_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    images(tmp_path, "a/1.png", "b/1.png", "b/closed/2.png")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("closed"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    table = read_folder(tmp_path)
    assert len(table) == 2 and any("cannot be opened, skipped: b/closed" in note for note in table.notes)


@pytest.mark.parametrize("marker", [".whet.json", "requested.yaml", "check.json"])
def test_what_whet_wrote_is_no_data(tmp_path, marker):
    images(tmp_path, "a/1.png", "b/1.png", "runs/data-1/samples/1.png", "runs/data-1/mistakes/2.png")
    (tmp_path / "runs" / "data-1" / marker).write_text("{}")
    table = read_folder(tmp_path)
    assert table.classes == ("a", "b")
    assert any("written by whet, skipped: runs/data-1" in note for note in table.notes)
    images(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png")


def test_runs_beside_parts_are_no_part(tmp_path):
    images(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png", "runs/x-1/samples/1.png")
    (tmp_path / "runs" / "x-1" / "requested.yaml").write_text("{}")
    assert read_folder(tmp_path).classes == ("a", "b")


def test_sites_with_the_same_classes_inside_have_to_be_told_from_classes(tmp_path):
    names = [f"{site}/{label}/{k}.png" for site in ("north", "south") for label in ("cat", "dog") for k in range(2)]
    images(tmp_path, *names)
    with pytest.raises(
        DataError, match=r"north, south contain folders of the same names, cat, dog: which are the classes\?"
    ):
        read_folder(tmp_path)
    assert read_folder(tmp_path, class_folder="outer").classes == ("north", "south")
    inner = read_folder(tmp_path, class_folder="inner")
    assert inner.classes == ("cat", "dog") and set(inner.frame["group"]) == {"north", "south"}
    images(tmp_path, "north/loose.png")  # a folder that holds samples itself is a class folder
    assert read_folder(tmp_path).classes == ("north", "south")


def test_class_folders_may_be_divided_at_will(tmp_path):
    images(tmp_path, "a/monday/1.png", "a/tuesday/1.png", "b/noon/1.png", "b/night/1.png")
    assert read_folder(tmp_path).classes == ("a", "b")
