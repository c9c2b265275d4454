"""Every input of a prediction has a row, or its reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_images

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data.inputs import read_inputs

PLAIN = DataSpec()


def rows(given, medium, spec=PLAIN):
    frame = read_inputs(given, spec, medium)
    return list(zip(frame["name"], frame["error"]))


@pytest.fixture
def folder(tmp_path):
    """An image, one of another format, a file beside them, and a folder of images that lies elsewhere."""
    write_images(tmp_path / "elsewhere", {"glass": 2})
    data = write_images(tmp_path / "data", {"metal": 1})
    (data / "photo.heic").write_bytes(b"x")
    (data / "notes.txt").write_text("a text", encoding="utf-8")
    (data / ".DS_Store").write_bytes(b"x")
    return data


def test_every_file_below_a_folder_of_images_has_a_row(folder):
    found = dict(rows(folder, "image"))
    assert {Path(name).name: bool(error) for name, error in found.items()} == {
        "000.png": False,
        "photo.heic": True,
        "notes.txt": True,
    }
    assert ".heic" in found[str(folder / "photo.heic")] and ".png" in found[str(folder / "photo.heic")]


def test_a_file_given_twice_has_one_row_and_a_pattern_takes_folders_too(folder):
    image = folder / "metal" / "000.png"
    assert rows([image, str(image), f"{folder}/*"], "image")[0] == (str(image), "")
    assert len(rows([image, f"{folder}/*"], "image")) == 3


@pytest.mark.parametrize(
    "given", ["missing.csv", "missing.txt", "my own notes.TXT", "no/such/folder/", "/no/such/place", "~/no-such-place",
              "new/*.txt", "new/*"],
)  # fmt: skip
def test_what_looks_like_a_path_and_names_nothing_is_no_text(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        read_inputs(given, PLAIN, "text")


@pytest.mark.parametrize(
    "given", ["~somebody says so", "and/or", "what? *really*", "https://example.org/a.txt", "5/5", "it ends\nin.txt", "x" * 9000,
              "I read it in notes.txt, twice"],
)  # fmt: skip
def test_texts_stay_texts(given):
    assert rows(given, "text") == [(given, "")]


def test_an_empty_folder_is_refused(tmp_path):
    for medium in ("image", "text", "audio"):
        with pytest.raises(DataError, match="contains no"):
            read_inputs(tmp_path, PLAIN, medium)


def test_blank_texts_are_no_samples(tmp_path):
    (tmp_path / "t.csv").write_text('text\n"one"\n"  "\n"\u200b"\ntwo\n', encoding="utf-8")
    (tmp_path / "blank.txt").write_text("\n\n", encoding="utf-8")
    assert rows(["", " \n", None, float("nan")], "text") == [
        ("", "no text"),
        (" \n", "no text"),
        ("", "no text"),
        ("", "no text"),
    ]
    assert [error for _, error in rows(tmp_path / "t.csv", "text")] == ["", "no text", "no text", ""]
    assert [error for _, error in rows(tmp_path / "blank.txt", "text")] == ["no text"]


def test_typed_texts_are_cleaned_as_those_of_tables(tmp_path):
    """Line ends, NUL, half a surrogate pair: the same text however it comes."""
    dirty, clean = "one\r\ntwo\0\ud800", "one\ntwo\ufffd"
    assert rows(dirty, "text") == [(clean, "")]
    assert rows([np.str_(dirty)], "text") == [(clean, "")]
    assert rows(pd.Series([5, 2.5, "x"], dtype=object), "text") == [("5", ""), ("2.5", ""), ("x", "")]


def test_texts_below_a_folder(tmp_path):
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    (tmp_path / "b.csv").write_text("text,n\ntwo,1\nthree,2\n", encoding="utf-8")
    (tmp_path / "c.csv").write_text("x,n\n1,1\n", encoding="utf-8")
    (tmp_path / "d.pdf").write_bytes(b"%PDF")
    (tmp_path / "e.txt").write_bytes(b"\0" * 10)
    found = rows(tmp_path, "text")
    assert found[:3] == [("one", ""), ("two", ""), ("three", "")]
    assert [Path(name).name for name, error in found[3:] if error] == ["c.csv", "d.pdf", "e.txt"]
    assert "no text column" in found[3][1] and ".pdf" in found[4][1]


def test_tables_are_read_by_the_columns_of_the_spec(tmp_path):
    with (tmp_path / "t.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(
            [["text", "body", "file", "scan"], ["a", "b", "a.png", "b.png"], ["c", "d", "c.png", ""]]
        )
    assert rows(tmp_path / "t.csv", "text", DataSpec(text_column="body")) == [("b", ""), ("d", "")]
    assert rows(tmp_path / "t.csv", "image") == [(str(tmp_path / name), "") for name in ("a.png", "c.png")]
    scans = rows(tmp_path / "t.csv", "image", DataSpec(file_column="scan"))
    assert scans == [(str(tmp_path / "b.png"), ""), (f"{tmp_path / 't.csv'}:3", "no file name")]


def test_parts_of_audio_are_read_from_tables(tmp_path):
    (tmp_path / "t.csv").write_text("file,start,end\na.wav,0,1\na.wav,1,2.5\na.wav,,\n", encoding="utf-8")
    frame = read_inputs(tmp_path / "t.csv", PLAIN, "audio")
    assert [Path(name).name for name in frame["name"]] == ["a.wav#0-1", "a.wav#1-2.5", "a.wav"]
    assert frame["end"].tolist()[:2] == [1.0, 2.5] and np.isnan(frame["start"][2])


def test_a_name_that_is_not_utf8_can_be_written(tmp_path):
    path = Path(str(tmp_path).encode().decode() + "/" + b"caf\xe9.png".decode("utf-8", "surrogateescape"))
    path.write_bytes(b"x")
    ((name, _),) = rows(tmp_path, "image")
    assert name.endswith("caf\\xe9.png") and name.encode()


@pytest.mark.parametrize("given", [pd.DataFrame({"text": ["a"]}), [b"bytes"], [["a", "b"]]])
def test_what_is_no_input_is_refused_by_its_type(given):
    with pytest.raises(DataError, match=r"DataFrame|bytes|list"):
        read_inputs(given, PLAIN, "text")
