"""The files of predicted masks: what is written, and what a second call replaces."""

import csv
import json

import numpy as np
import pytest
import typer
from PIL import Image

from whet.cli import predict
from whet.core import language
from whet.core.errors import OutputError
from whet.core.masks import Detection, Layer, PredictedMasks
from whet.segments import SegmentedImage, write_segments

CLASSES = ("background", "can")


def image(name, *, objects=False):
    """8 x 8 pixels with a can of 4 x 4."""
    map_HW = np.zeros((8, 8), np.uint8)
    map_HW[2:6, 2:6] = 1
    found = PredictedMasks(
        map_HW, (Detection(Layer(1, 2, 2, np.ones((4, 4), bool)), 0.9),), map_HW.astype(np.uint16) if objects else None
    )
    return SegmentedImage(name, "", found, np.full((8, 8, 3), 90, np.uint8), objects)


def written(folder, *names, objects=False, **options):
    return list(write_segments((image(name, objects=objects) for name in names), CLASSES, folder, **options))


def listed(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        ".whet.json", ".whet-files.txt",
    }  # fmt: skip


def test_each_image_has_its_files(tmp_path):
    (row, _) = written(tmp_path / "out", "a/x.png", "b/X.jpg")
    assert row == {"file": "a/x.png", "error": "", "area:background": 0.75, "area:can": 0.25}
    assert listed(tmp_path / "out") == {
        "masks/x.png", "masks/X-2.png", "overlays/x.jpg", "overlays/X-2.jpg", "annotations.json", "segments.csv",
    }  # fmt: skip
    with (tmp_path / "out" / "segments.csv").open(newline="") as handle:
        (part, _) = csv.DictReader(handle)
    assert (part["class"], part["pixels"], part["share"], part["confidence"]) == ("can", "16", "0.25", "0.9")
    (one, _) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert (one["area"], one["bbox"]) == (16, [2, 2, 4, 4])


def test_earlier_predictions_are_refused_or_replaced_as_a_whole(tmp_path):
    """Nothing of an image that is not predicted any more stays, and nothing of the user's is deleted."""
    out = tmp_path / "out"
    written(out, "a.png", "b.png")
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(out / "masks" / "mine.png")
    (out / "notes.txt").write_text("mine")
    before = listed(out)
    with pytest.raises(OutputError, match=r"holds predictions already.*--force"):
        written(out, "c.png")
    assert listed(out) == before
    written(out, "c.png", objects=True, force=True)
    assert listed(out) == {
        "masks/c.png", "masks/mine.png", "overlays/c.jpg", "annotations.json", "objects.csv", "notes.txt",
    }  # fmt: skip
    assert [one["file_name"] for one in json.loads((out / "annotations.json").read_text())["images"]] == ["c.png"]


def test_predictions_that_were_cut_off_count_as_earlier_ones(tmp_path):
    out = tmp_path / "out"
    next(write_segments(iter([image("a.png"), image("b.png")]), CLASSES, out))
    with pytest.raises(OutputError, match="holds predictions already"):
        written(out, "c.png")
    written(out, "c.png", force=True)
    assert not (out / "masks" / "a.png").exists()


@pytest.mark.parametrize("given", ["out", "out/overlays/*.jpg", "out/overlays/a.jpg", "."])
def test_inputs_are_never_deleted(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "out", "a.png")
    before = listed(tmp_path / "out")
    with pytest.raises(OutputError, match="data"):
        written(tmp_path / "out", "b.png", force=True, inputs=[given])
    assert listed(tmp_path / "out") == before


def test_a_list_of_files_outside_the_folder_deletes_nothing(tmp_path):
    written(tmp_path / "out", "a.png")
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "out" / ".whet-files.txt").write_text(
        "".join(f"{json.dumps(name)}\n" for name in ("../mine.txt", str(tmp_path / "mine.txt"), "masks/../../mine.txt"))
    )
    written(tmp_path / "out", "b.png", force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("objects", [False, True])
def test_the_table_on_the_screen_is_in_the_language(capsys, objects):
    class Run:
        classes = CLASSES

        def segment(self, inputs, *, file_column):
            broken = SegmentedImage("b.png", "empty file", objects=objects)
            return iter([image("a.png", objects=objects), broken])

    with language.in_language("zh"), pytest.raises(typer.Exit):
        predict._segment(Run(), ["a.png"], None, None, force=False, as_json=False)
    shown = capsys.readouterr()
    assert "文件" in shown.out
    assert ("目标" if objects else "各类别占比") in shown.out
    assert "2 个文件中有 1 个无法读取" in shown.err
