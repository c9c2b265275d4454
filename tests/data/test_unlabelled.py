"""The part "unlabelled" of a table: a folder, a table, or the rows without a label."""

import csv
import shutil

import numpy as np
import pytest
import torch
from tests.conftest import write_images

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data.audit import check_balance, check_duplicates
from whet.data.read import read_data
from whet.data.unlabelled import refuse_many_without_label
from whet.training.data_record import absolute, moved

WORDS = ("glass", "metal")


def write_texts(path, rows, header=("text", "label")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


def labelled_rows(count=40):
    return [[f"text {number} of {WORDS[number % 2]}", WORDS[number % 2]] for number in range(count)]


def same_but_unlabelled(table, plain):
    """Everything about the labelled samples is as without unlabelled ones."""
    columns = ["id", "label", "split", "digest", "weight"]
    assert table.frame[columns].equals(plain.frame[columns]) and table.classes == plain.classes
    assert (table.counts_K == plain.counts_K).all() and len(table) == len(plain)
    assert table.fingerprint() != plain.fingerprint()
    assert [str(f) for f in (*check_balance(table), *check_duplicates(table))] == [
        str(f) for f in (*check_balance(plain), *check_duplicates(plain))
    ]


def test_a_folder_of_further_images(images, tmp_path):
    more = write_images(tmp_path / "more", {"a": 4, "b": 3}, seed=9)
    (more / "notes.txt").write_text("not an image")
    (more / "a" / "empty.png").write_bytes(b"")
    table, plain = read_data(DataSpec(path=str(images), unlabelled=str(more))), read_data(DataSpec(path=str(images)))
    same_but_unlabelled(table, plain)
    part = table.part("unlabelled")
    assert len(part) == 7 and (part.label_N == -1).all() and part.unlabelled is None
    assert part.frame["id"].iloc[0] == "unlabelled/a/000.png"
    assert "7 unlabelled images from more" in table.notes and not any(str(tmp_path) in note for note in table.notes)
    assert any("2 entries of more" in note and "were left out, the first: unlabelled/" in note for note in table.notes)
    assert len(plain.part("unlabelled")) == 0


def test_their_targets_are_unknown(images, tmp_path):
    more = write_images(tmp_path / "more", {"a": 4}, seed=9)
    table = read_data(DataSpec(path=str(images), unlabelled=str(more)))
    targets = table.unlabelled_targets(4)
    assert targets.known_B.tolist() == [False] * 4 and torch.allclose(targets.probs_BK, torch.full((4, 3), 1 / 3))
    assert table.part("train").targets.known_B is None
    assert targets[1:3].known_B.tolist() == [False] * 2


def test_a_mixture_is_known_where_all_its_parts_are():
    from whet.core.targets import ClassTargets
    from whet.tasks import SINGLE_LABEL

    targets = ClassTargets(torch.eye(3), SINGLE_LABEL, torch.tensor([True, True, False]))
    mixed = targets.mix(torch.tensor([1, 2, 0]), torch.full((3,), 0.5))
    assert mixed.known_B.tolist() == [True, False, False]
    gathered = targets.gather(torch.tensor([[0, 1], [1, 2], [0, 0]]), torch.full((3, 2), 0.5))
    assert gathered.known_B.tolist() == [True, False, True]


def test_copies_of_held_out_samples_are_named_and_left_out(images, tmp_path):
    plain = read_data(DataSpec(path=str(images)))
    more = write_images(tmp_path / "more", {"a": 2}, seed=9)
    for split in ("train", "val", "test"):
        file = plain.part(split).frame["path"].iloc[0]
        shutil.copy(file, more / f"{split}{file[-4:]}")
    table = read_data(DataSpec(path=str(images), unlabelled=str(more)))
    names = sorted(name.rpartition("/")[2][:5] for name in table.part("unlabelled").frame["id"])
    assert names == ["000.p", "001.j", "train"]
    (note,) = [note for note in table.notes if "copies of validation or test samples" in note]
    assert (
        note.startswith("2 unlabelled images are copies") and "unlabelled/val." in note and "unlabelled/test." in note
    )


def test_rows_without_a_label(tmp_path):
    rows = [
        *labelled_rows(),
        *[[f"no one knows {number}", ""] for number in range(9)],
        ["text 0 of glass", ""],
        ["", ""],
    ]
    path = write_texts(tmp_path / "texts.csv", rows)
    table = read_data(DataSpec(path=str(path), unlabelled="rows"))
    assert sorted(table.part("unlabelled").frame["text"]) == [f"no one knows {number}" for number in range(9)]
    assert table.skipped == ()  # neither counted as unusable nor refused
    plain = read_data(DataSpec(path=str(path)))
    assert len(plain.skipped) == 11
    same_but_unlabelled(table, plain)


def test_rows_of_a_table_of_files(images, tmp_path):
    more = write_images(images / "x", {"free": 6}, seed=9)
    files = [[file.relative_to(images).as_posix(), file.parent.name] for file in sorted(images.glob("[gmp]*/*"))]
    files += [[file.relative_to(images).as_posix(), ""] for file in sorted(more.rglob("*.*"))]
    write_texts(images / "labels.csv", files, ("file", "label"))
    table = read_data(DataSpec(path=str(images / "labels.csv"), unlabelled="rows"))
    assert len(table) == 60 and len(table.part("unlabelled")) == 6 and table.skipped == ()


def test_rows_of_class_folders_are_the_folders_without_a_class(images, tmp_path):
    root = tmp_path / "parts"
    for name in ("glass", "metal", "paper"):
        shutil.copytree(images / name, root / "train" / name)
    write_images(root / "train", {"unlabeled": 5}, seed=9)
    write_images(root, {"unsup": 4}, seed=10)
    shutil.copytree(images / "glass", root / "test" / "glass")
    table = read_data(DataSpec(path=str(root), unlabelled="rows"))
    assert len(table.part("unlabelled")) == 9
    assert not any("have no label and were left out" in note for note in table.notes)
    assert any("have no label and were left out" in note for note in read_data(DataSpec(path=str(root))).notes)


def test_label_sets(tmp_path):
    rows = [[f"text {number}", "a|b" if number % 2 else "b"] for number in range(40)]
    path = write_texts(tmp_path / "texts.csv", rows)
    more = write_texts(tmp_path / "more.csv", [["one"], ["two"]], ("text",))
    table = read_data(DataSpec(path=str(path), label_separator="|", unlabelled=str(more)))
    targets = table.unlabelled_targets(2)
    assert torch.equal(targets.probs_BK, torch.full((2, 2), 0.5)) and not targets.known_B.any()


@pytest.mark.parametrize(
    ("unlabelled", "message"),
    [("nowhere", "nowhere does not exist; accepted: a folder, a table or rows"), ("rows", "every sample has a label")],
)
def test_what_is_not_there_is_refused(tmp_path, unlabelled, message):
    path = write_texts(tmp_path / "texts.csv", labelled_rows())
    with pytest.raises(DataError, match=message):
        read_data(DataSpec(path=str(path), unlabelled=unlabelled))


def test_nothing_but_copies_is_refused(tmp_path):
    path = write_texts(tmp_path / "texts.csv", labelled_rows())
    held_out = read_data(DataSpec(path=str(path))).part("test").frame["text"]
    more = write_texts(tmp_path / "more.csv", [[text] for text in held_out], ("text",))
    with pytest.raises(DataError, match="all are copies of validation or test samples"):
        read_data(DataSpec(path=str(path), unlabelled=str(more)))


def test_paths_become_absolute_and_move_with_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute(DataSpec(path="a", unlabelled="b")).unlabelled == str(tmp_path / "b")
    assert absolute(DataSpec(path="a", unlabelled="rows")).unlabelled == "rows"
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    spec = DataSpec(path=str(tmp_path / "here"), unlabelled=str(tmp_path / "here" / "more"))
    assert moved(spec, tmp_path / "there").unlabelled == str(tmp_path / "there" / "more")


def test_the_fingerprint_of_data_without_them_is_unchanged(images):
    """Runs of earlier versions can be resumed."""
    import hashlib
    import json

    table = read_data(DataSpec(path=str(images)))
    rows = table.frame[["id", "digest", "label", "split"]].sort_values("id").to_numpy().tolist()
    assert table.fingerprint() == hashlib.sha256(json.dumps([list(table.classes), rows]).encode()).hexdigest()
    assert np.unique(table.frame["split"]).tolist() == ["test", "train", "val"]


def test_many_rows_without_a_label_are_counted_and_their_use_is_told(tmp_path):
    rows = [*labelled_rows(), *([f"unread {number}", ""] for number in range(30))]
    path = write_texts(tmp_path / "texts.csv", rows)
    with pytest.raises(DataError, match=r"30 of 70 samples have no label, more than 1%, such as .*--unlabelled rows"):
        refuse_many_without_label(str(path), read_data(DataSpec(path=str(path))))
    refuse_many_without_label(str(path), read_data(DataSpec(path=str(path), unlabelled="rows")))
