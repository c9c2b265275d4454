"""The npm packages of a page: where they may lie, and which are accepted."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from whet.core.errors import PackageError
from whet.web.packages import ONNXRUNTIME, TOKENIZERS, Package, needed, read

CONTENT = {
    "dist/one.mjs": b"one",
    "dist/one.wasm": b"two",
    "LICENSE": b"terms",
    "package.json": b'{"version": "2.0.0"}',
}
ONE = Package(
    "@some/one",
    "2.0.0",
    {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items() if name != "package.json"},
    licence="LICENSE",
)


def unpacked(folder: Path, content: dict[str, bytes] = CONTENT) -> None:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def packed(archive: Path, content: dict[str, bytes] = CONTENT) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as file:
        for name, data in content.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("place", ["", "some-one-2.0.0.tgz", "node_modules/@some/one", "@some/one", "package/dist"])
def test_a_package_is_found_where_npm_puts_it(tmp_path, place):
    given = tmp_path
    if place.endswith(".tgz"):
        packed(tmp_path / place)
        assert read([ONE], tmp_path / place) == read([ONE], tmp_path)  # the archive itself, or its folder
    elif place.endswith("dist"):
        unpacked((tmp_path / place).parent)
        given = tmp_path / place
    else:
        unpacked(tmp_path / place)
    files, notices = read([ONE], given)
    assert files == {"one.mjs": b"one", "one.wasm": b"two"}
    assert "@some/one 2.0.0" in notices and "terms" in notices


def test_what_is_missing_is_named_with_the_command_that_gets_it(tmp_path):
    packed(tmp_path / "some-one-2.0.0.tgz")
    for given in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PackageError, match=r"npm pack onnxruntime-web@1\.30\.0 @huggingface/tokenizers@0\.2\.0"):
            read([ONNXRUNTIME, TOKENIZERS], given)
    assert needed("image") == needed("audio") == (ONNXRUNTIME,)


@pytest.mark.parametrize("changed", ["dist/one.mjs", "dist/one.wasm", "LICENSE"])
def test_another_version_and_a_changed_file_are_refused(tmp_path, changed):
    packed(tmp_path / "some-one-1.9.9.tgz", {**CONTENT, changed: b"x", "package.json": b'{"version": "1.9.9"}'})
    with pytest.raises(PackageError, match=f"{changed} is not that of @some/one@2.0.0 but of 1.9.9; accepted: 2.0.0"):
        read([ONE], tmp_path)
    packed(tmp_path / "some-one-2.0.0.tgz")  # the right one is taken first
    assert read([ONE], tmp_path)[0]["one.mjs"] == b"one"


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "some-one-2.0.0.tgz").write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(PackageError, match=r"some-one-2\.0\.0\.tgz cannot be read"):
        read([ONE], tmp_path)
