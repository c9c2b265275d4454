"""A file is hashed once, and again when it changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whet.data import digests
from whet.data.digests import file_digests
from whet.data.store import digest_of


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files that changed long ago, as far as the clock of the test is concerned."""
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests.time, "time", lambda: 4e9)
    (tmp_path / "data").mkdir()
    paths = [tmp_path / "data" / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_bytes(path.name.encode() * 10)
    return [str(path) for path in paths]


@pytest.fixture
def read(monkeypatch):
    """The files that were opened."""
    seen: list[str] = []
    plain = digests._digest

    def noted(path):
        seen.append(Path(path).name)
        return plain(path)

    monkeypatch.setattr(digests, "_digest", noted)
    return seen


def test_known_files_are_not_opened_again(files, read):
    first = file_digests(files, 2)
    assert first == [(digest_of(Path(path).read_bytes()), "") for path in files]
    assert sorted(read) == ["a", "b", "c"]
    read.clear()
    assert file_digests(files[::-1], 2) == first[::-1]
    assert not read


@pytest.mark.parametrize("how", ["written", "replaced", "kept times"])
def test_a_file_that_changed_is_read_again(files, read, how, tmp_path):
    file_digests(files, 2)
    path, state = Path(files[1]), os.stat(files[1])
    new = b"B" * 10 if how == "kept times" else b"B" * 11
    if how == "replaced":
        (tmp_path / "new").write_bytes(new)
        (tmp_path / "new").replace(path)
    else:
        path.write_bytes(new)
    if how == "kept times":
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    read.clear()
    assert file_digests(files, 2)[1] == (digest_of(new), "")
    assert read == ["b"]


def test_what_changed_just_now_is_not_trusted(files, read, monkeypatch):
    monkeypatch.setattr(digests.time, "time", lambda: os.stat(files[0]).st_ctime + 1)
    file_digests(files, 2)
    read.clear()
    file_digests(files, 2)
    assert sorted(read) == ["a", "b", "c"]


def test_a_file_of_several_parts_is_read_once(files, read):
    assert len(set(file_digests([files[0]] * 5, 2))) == 1
    assert read == ["a"]


def test_what_cannot_be_read_says_why(files, tmp_path):
    (tmp_path / "data" / "empty").write_bytes(b"")
    found = file_digests([str(tmp_path / "data" / "empty"), str(tmp_path / "data" / "none"), files[0]], 2)
    assert found[0] == ("", "empty file") and found[1][0] == "" and "No such file" in found[1][1] and not found[2][1]


def test_without_a_cache_every_file_is_read(files, read, monkeypatch, tmp_path):
    (tmp_path / "in the way").write_text("x")
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "in the way"))
    assert file_digests(files, 2) == file_digests(files, 2)
    assert len(read) == 6
