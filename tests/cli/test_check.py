"""`whet check` as a person would use it."""

import json

import pytest
from tests.conftest import whet
from tests.data.audit.conftest import save, scene

import whet as package


@pytest.fixture
def faulty(photos):
    save(scene(0), photos / "b" / "again.jpg", quality=60)
    (photos / "a" / "bad.jpg").write_bytes(b"<html>")
    return photos


def test_the_page_and_the_cleaned_table(faulty, tmp_path):
    done = whet("check", faulty, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "near-duplicate conflict" in done.stdout and "cleaned.csv" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 2
    own = page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")  # the name of SVG is no address
    assert "a/p0.jpg" in page and "http" not in own
    story = json.loads((tmp_path / "out" / "check.json").read_text())
    assert {entry["id"] for entry in story["cleaned"]["dropped"]} == {"a/bad.jpg", "a/p0.jpg", "b/again.jpg"}
    assert story["cleaned"]["kept"] == 23
    again = whet("check", tmp_path / "out" / "cleaned.csv", "--strict", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["problems"] == 0


def test_without_out_nothing_is_written(faulty, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))
    done = whet("check", faulty, cwd=tmp_path)
    assert "--out FOLDER" in done.stdout
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_name_cannot_bring_markup_into_the_page(photos, tmp_path):
    name = "<img src=x onerror=alert(1)>.jpg"
    save(scene(1), photos / "a" / name)
    package.check(photos, out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page


def test_features_of_given_weights(shared, mobilenet, tmp_path):
    """The classes are two kinds of real photos; two are filed wrongly."""
    import shutil

    for k, name in enumerate(("paper", "glass")):
        for number, path in enumerate(sorted((shared / "data" / "trashnet" / name).glob("*.jpg"))[:40]):
            folder = ("paper", "glass")[1 - k if number in (5,) else k]
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "data" / folder / path.name)
    found = package.check(tmp_path / "data", weights=str(mobilenet))
    (finding,) = [finding for finding in found.findings if finding.kind == "suspected labels"]
    wrong = {sorted((shared / "data" / "trashnet" / name).glob("*.jpg"))[5].name for name in ("paper", "glass")}
    listed = {group[0].split("/")[1] for group in finding.groups}
    assert listed and listed <= wrong  # 80 images are few to be sure of both
