"""`whet group` from files to a labelled table."""

from __future__ import annotations

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import whet, write_images

import whet as package
from whet.core.errors import DataError, OutputError, RecipeError
from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data.read import read_data
from whet.grouping.names import read_names

TEXTS = (
    [f"the cat sat on mat number {n}" for n in ("one", "two", "three", "four", "five", "six")]
    + [f"stocks fell {n} percent on friday" for n in ("one", "two", "three", "four", "five")]
    + [f"boil the rice for {n} minutes" for n in ("ten", "nine", "eight", "seven")]
)


def write_texts(path: Path, texts: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text"], *([text] for text in texts)])
    return path


def groups_of(texts, tmp_path, **options) -> dict[str, tuple[int, bool]]:
    table = package.group(write_texts(tmp_path / "texts.csv", texts), threads=1, **options).table
    return {text: (group, unsure) for text, group, unsure in zip(table["text"], table["group"], table["unsure"])}


class Page(HTMLParser):
    """The tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def require_self_contained(page: Path) -> None:
    """No scripts from elsewhere, handlers or links to the network."""
    for tag, attributes in Page(page.read_text(encoding="utf-8")).tags:
        assert tag not in ("iframe", "object", "link"), tag
        assert not [name for name in attributes if name.startswith("on")], attributes
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), attributes


@settings(max_examples=4)
@given(order=st.permutations(range(len(TEXTS))), twice=st.sampled_from(range(len(TEXTS))))
def test_neither_the_order_nor_copies_change_a_group(order, twice, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    plain = groups_of(TEXTS, folder, groups=3)
    assert groups_of([TEXTS[k] for k in order] + [TEXTS[twice]], folder, groups=3) == plain


def test_texts_about_one_thing_are_together(tmp_path):
    found = groups_of(TEXTS, tmp_path, groups=3)
    assert [found[text][0] for text in TEXTS] == [1] * 6 + [2] * 5 + [3] * 4


def test_the_algorithms_and_the_number_of_groups(tmp_path):
    for algorithm in ("kmeans", "ward"):
        assert {group for group, _ in groups_of(TEXTS, tmp_path, groups=1, algorithm=algorithm).values()} == {1}
        every = groups_of(TEXTS, tmp_path, groups=len(TEXTS), algorithm=algorithm)
        assert sorted(group for group, _ in every.values()) == list(range(1, 16))
        with pytest.raises(DataError, match="accepted: 1 to 15"):
            groups_of(TEXTS, tmp_path, groups=16, algorithm=algorithm)
    found = package.group(write_texts(tmp_path / "texts.csv", TEXTS))
    assert found.groups in (3, 4) and [one.groups for one in found.candidates] == [
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        14,
    ]
    same = package.group(write_texts(tmp_path / "same.csv", ["a b", "a b", "A B"]), algorithm="ward")
    assert same.groups == 1 and same.copies == 1 and not same.unsure and np.isnan(same.silhouette)
    with pytest.raises(RecipeError, match="random weights"):
        package.group(tmp_path / "texts.csv", architecture="text_cnn")


@pytest.fixture(scope="module")
def grouped(tmp_path_factory) -> Path:
    """Images of two colours, with a copy, a name that is no text for HTML, and files that cannot be read; grouped on the screen."""
    root = tmp_path_factory.mktemp("grouped")
    write_images(root / "photos", {"glass": 12, "metal": 9}, size=(48, 48))
    photos = root / "photos"
    shutil.copy(photos / "glass" / "000.png", photos / "copy.png")
    shutil.copy(photos / "glass" / "002.png", photos / '"><img src=x onerror=alert(1)>.png')
    (photos / "broken.jpg").write_bytes((photos / "glass" / "001.jpg").read_bytes()[:40])
    (photos / "empty.png").write_bytes(b"")
    (photos / "notes.txt").write_text("notes")
    done = whet("group", photos, "--out", root / "out", "--weights", "none", "--groups", "2")
    assert done.returncode == 0, done.stderr
    assert "2 groups of 23 images" in done.stdout and "weak features" in done.stderr
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_folder_of_images_is_grouped_by_colour(grouped):
    rows = {row["id"]: row for row in rows_of(grouped / "out" / "groups.csv")}
    assert list(next(iter(rows.values()))) == ["id", "file", "group", "distance", "unsure"]
    assert list(rows) == sorted(rows) and len(rows) == 23
    assert {row["group"] for id_, row in rows.items() if id_.startswith("glass/")} == {"1"}
    assert {row["group"] for id_, row in rows.items() if id_.startswith("metal/")} == {"2"}
    assert {**rows["copy.png"], "id": "", "file": ""} == {**rows["glass/000.png"], "id": "", "file": ""}
    assert all((grouped / "out" / row["file"]).is_file() for row in rows.values())
    story = json.loads((grouped / "out" / "groups.json").read_text(encoding="utf-8"))
    assert story["copies"] == 2 and story["left_out"]["count"] == 3
    assert {line.split(":")[0] for line in story["left_out"]["first"]} == {"broken.jpg", "empty.png", "notes.txt"}


def test_the_page_is_self_contained_and_shows_every_group(grouped):
    page = grouped / "out" / "report.html"
    require_self_contained(page)
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text and "Group 1" in text and "Group 2" in text and "weak features" in text
    images = [attributes for tag, attributes in Page(text).tags if tag == "img"]
    assert len(images) >= 21


def test_names_make_a_labelled_table_that_can_be_trained_on(grouped, tmp_path):
    out = shutil.copytree(grouped / "out", tmp_path / "out")
    rows = rows_of(out / "groups.csv")
    shutil.copytree(grouped / "photos", tmp_path / "photos")
    with pytest.raises(DataError, match="names no group"):
        package.label_by_names(out)
    assert read_names(out / "names.yaml") == {1: "", 2: ""}
    (out / "names.yaml").write_text("1: no\n2: 12\n")
    done = whet("group", out, "--names", "--links", "--json")
    assert done.returncode == 0, done.stderr
    sure = [row for row in rows if row["unsure"] == "0"]
    labelled = rows_of(out / "labelled.csv")
    assert {row["file"]: row["label"] for row in labelled} == {
        row["file"]: {"1": "no", "2": "12"}[row["group"]] for row in sure
    }
    assert json.loads(done.stdout)["counts"] == {
        name: sum(r["label"] == name for r in labelled) for name in ("no", "12")
    }
    table = read_data(DataSpec(path=str(out / "labelled.csv")), 1)
    assert table.classes == ("12", "no") and len(table) == len(sure)
    folder = read_data(DataSpec(path=str(out / "labelled")), 1)
    assert sorted(folder.frame["digest"]) == sorted(table.frame["digest"]) and folder.classes == table.classes
    (out / "names.yaml").write_text("1: same\n2: same\n")
    named = package.label_by_names(out)
    assert named.counts == {"same": len(sure)} and not list((out / "labelled").rglob("*.*"))
    with pytest.raises(OutputError, match=r"names.yaml names 2 groups \('same', …\), which are never overwritten"):
        package.group(tmp_path / "photos", out=out, weights="none", force=True)


def test_groups_that_were_edited_are_used(grouped, tmp_path):
    out = shutil.copytree(grouped / "out", tmp_path / "out")
    rows = rows_of(out / "groups.csv")
    rows[0]["unsure"], rows[1]["group"] = "TRUE", "2"
    with (out / "groups.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[:3])
    (out / "names.yaml").write_text("1: a\n2: b\n")
    package.label_by_names(out)
    labels = {row["file"]: row["label"] for row in rows_of(out / "labelled.csv")}
    assert rows[0]["file"] not in labels and labels.get(rows[1]["file"], "b") == "b"
    assert rows[0]["file"] in {row["file"] for row in rows_of(out / "unsure.csv")}


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("- glass", "one line for each group"),
        ("1: [a]", "the number of a group, and its name"),
        ("one: a", "the number of a group, and its name"),
        ("1: a\n7: b", "group 7 does not exist"),
        ("1: 'a", "cannot be read as YAML"),
    ],
)
def test_names_that_cannot_be_used_are_refused(names, why, grouped, tmp_path):
    out = shutil.copytree(grouped / "out", tmp_path / "out")
    (out / "names.yaml").write_text(names)
    with pytest.raises(DataError, match=why):
        package.label_by_names(out)


@pytest.mark.parametrize("name", ["../up", ".hidden", "test"])
def test_names_that_are_no_class_folders_are_not_linked(name, grouped, tmp_path):
    out = shutil.copytree(grouped / "out", tmp_path / "out")
    (out / "names.yaml").write_text(f"1: '{name}'\n")
    with pytest.raises(DataError, match="cannot be the name of a class folder"):
        package.label_by_names(out, links=True)
    assert package.label_by_names(out).counts.keys() == {name}


def test_an_earlier_grouping_is_replaced_by_force_alone(grouped, tmp_path):
    out = shutil.copytree(grouped / "out", tmp_path / "out")
    photos = tmp_path / "one" / "photos"
    write_images(photos, {"paper": 6}, size=(48, 48))
    with pytest.raises(OutputError, match="already contains groups"):
        package.group(photos, out=out, weights="none")
    (out / "mine.txt").write_text("mine")
    found = package.group(photos, out=out, weights="none", groups=1, force=True, language="zh")
    assert len(found.table) == 6 and "第 1 组" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "mine.txt").is_file() and len(list((out / "samples").iterdir())) <= 6
    with pytest.raises(OutputError, match="holds no groups"):
        package.label_by_names(photos)


def test_audio_clips_are_grouped_and_shown(tmp_path):
    seconds = np.arange(8000) / 16_000
    for k, pitch in enumerate((200, 220, 240, 3000, 3100, 3200)):
        noise = Rng(k).batch("noise", 0, np.arange(8000)).normal()
        soundfile.write(tmp_path / f"{k}.wav", 0.5 * np.sin(2 * np.pi * pitch * seconds) + 0.01 * noise, 16_000)
    out = tmp_path.parent / f"{tmp_path.name}-out"
    found = package.group(tmp_path, out=out, groups=2, threads=1)
    assert found.medium == "audio" and found.simple
    assert len(set(found.table["group"][:3])) == len(set(found.table["group"][3:])) == 1
    require_self_contained(out / "report.html")
    assert "<audio" in (out / "report.html").read_text(encoding="utf-8")
