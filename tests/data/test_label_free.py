"""The samples of a pre-training: the training part of labelled data and what is unlabelled, or any files."""

import csv
import shutil

import pytest
from tests.conftest import write_images

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data.label_free import read_for_pretraining, reader_for
from whet.data.read import read_data


def test_the_split_of_labelled_data_is_that_of_a_training(images):
    spec = DataSpec(path=str(images))
    columns = ["id", "split", "label", "digest"]
    found, plain = read_for_pretraining(spec), read_data(spec)
    assert found.frame[columns].equals(plain.frame[columns]) and found.classes == plain.classes
    held_out = (plain.frame["split"] != "train").sum()
    assert any(f"none of the {held_out} validation and test samples" in note for note in found.notes)


def test_unlabelled_samples_join_the_training_part_without_copies_of_held_out_ones(images, tmp_path):
    plain = read_data(DataSpec(path=str(images)))
    more = write_images(tmp_path / "more", {"a": 4, "b": 3}, seed=9)
    for split in ("val", "test"):
        file = plain.part(split).frame["path"].iloc[0]
        shutil.copy(file, more / f"{split}.{file.rpartition('.')[2]}")
    found = read_for_pretraining(DataSpec(path=str(images), unlabelled=str(more)))
    assert found.unlabelled is None and found.classes == (*plain.classes, "unlabelled")
    assert len(found.part("train")) == len(plain.part("train")) + 7
    assert found.part("train").counts_K.tolist() == [*plain.part("train").counts_K.tolist(), 7]
    for split in ("val", "test"):
        assert found.part(split).frame["id"].tolist() == plain.part(split).frame["id"].tolist()
        assert not set(found.part("train").frame["digest"]) & set(found.part(split).frame["digest"])


def test_samples_of_the_data_without_a_label_join_too(images):
    loose = write_images(images.parent / "loose", {"x": 3}, seed=5)
    for file in (loose / "x").iterdir():
        shutil.copy(file, images / file.name)
    found = read_for_pretraining(DataSpec(path=str(images)))
    assert found.part("train").counts_K[-1] == 3 and not found.skipped


def test_a_folder_of_any_files(tmp_path):
    folder = write_images(tmp_path / "photos" / "2026", {"may": 15, "june": 15})
    (tmp_path / "photos" / "2025").mkdir()
    shutil.move(folder / "june" / "000.png", tmp_path / "photos" / "first.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    shutil.move(folder / "june", tmp_path / "photos" / "june")
    shutil.move(folder / "may", tmp_path / "photos" / "2025" / "may")
    shutil.rmtree(tmp_path / "photos" / "june")
    found = read_for_pretraining(DataSpec(path=str(tmp_path / "photos")))
    counts = {split: len(found.part(split)) for split in ("train", "val", "test")}
    assert sum(counts.values()) == 16 and counts["test"] == 0 and 2 <= counts["val"] <= 3
    assert found.classes == ("unlabelled",) and "first.png" in set(found.frame["id"])
    assert any("read as 16 images without labels, because" in note for note in found.notes)
    assert not any(str(tmp_path) in note for note in found.notes)
    again = read_for_pretraining(DataSpec(path=str(tmp_path / "photos")))
    assert again.fingerprint() == found.fingerprint()


def test_a_table_of_texts_without_labels(tmp_path):
    path = tmp_path / "texts.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text"], *([f"text number {k}"] for k in range(40))])
    found = read_for_pretraining(DataSpec(path=str(path)))
    assert found.medium == "text" and len(found) == 40 and len(found.part("val")) == 6


def test_a_folder_without_samples_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        read_for_pretraining(DataSpec(path=str(tmp_path / "empty")))


def test_only_a_pre_training_reads_so():
    assert reader_for("image-pretraining") is read_for_pretraining
    assert reader_for("image-classification") is read_data and reader_for("semantic-segmentation") is read_data


def test_given_splits_are_kept_without_labels(tmp_path):
    folder = write_images(tmp_path / "photos", {"train": 8, "val": 4, "test": 2})
    found = read_for_pretraining(DataSpec(path=str(folder)))
    assert {split: len(found.part(split)) for split in ("train", "val", "test")} == {"train": 8, "val": 4, "test": 2}
    loose = write_images(tmp_path / "loose" / "all", {"x": 10})
    (tmp_path / "val.txt").write_text("x/003.jpg\nx/004.png\n")
    (tmp_path / "train.txt").write_text("x/000.png\nx/001.jpg\nx/002.png\n")
    lists = tuple(str(tmp_path / f"{name}.txt") for name in ("train", "val"))
    listed = read_for_pretraining(DataSpec(path=str(loose), split_files=lists))
    assert listed.part("val").frame["id"].tolist() == ["x/003.jpg", "x/004.png"] and len(listed.part("train")) == 3


def test_a_setting_for_labels_that_is_wrong_is_not_passed_over(tmp_path):
    (tmp_path / "texts.csv").write_text("text,kind\n" + "one,a\ntwo,b\n" * 10)
    with pytest.raises(DataError, match="kinds"):
        read_for_pretraining(DataSpec(path=str(tmp_path / "texts.csv"), label_column="kinds"))
