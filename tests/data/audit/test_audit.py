import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.conftest import write_images

from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import audit


def found(path, **options):
    findings = audit(read_data(DataSpec(path=str(path), **options)), threads=2)
    return {finding.kind: finding for finding in findings}


def test_planted_faults_are_found_and_nothing_else(images):
    glass = images / "glass"
    (glass / "twin.png").write_bytes((glass / "000.png").read_bytes())
    (images / "metal" / "odd.png").write_bytes((glass / "002.png").read_bytes())
    (glass / "cut.jpg").write_bytes((glass / "001.jpg").read_bytes()[:300])
    (glass / "empty.png").write_bytes(b"")
    findings = found(images)
    assert findings["label conflict"].groups == (("glass/002.png", "metal/odd.png"),)
    assert set(findings["exact duplicates"].groups) == {
        ("glass/000.png", "glass/twin.png"),
        ("glass/002.png", "metal/odd.png"),
    }
    assert findings["unreadable"].groups == (("glass/cut.jpg",), ("glass/empty.png",))
    assert findings["unreadable"].notes[1] == "empty file"
    assert "leak across splits" not in findings  # the splits made here keep copies together
    assert findings["label conflict"].severity == "problem"


def test_clean_data_raise_no_alarm(tmp_path):
    data = write_images(tmp_path / "even", {"a": 80, "b": 80, "c": 80}, size=(8, 8))
    assert {f.severity for f in audit(read_data(DataSpec(path=str(data))), threads=2)} <= {"fact"}


def test_leaks_between_given_parts(tmp_path):
    for split in ("train", "val", "test"):
        write_images(tmp_path / split, {"a": 4, "b": 4}, seed=len(split))
    (tmp_path / "test" / "a" / "leak.png").write_bytes((tmp_path / "train" / "a" / "000.png").read_bytes())
    leak = found(tmp_path)["leak across splits"]
    assert leak.groups == (("test/a/leak.png", "train/a/000.png"),)
    assert leak.lines() == ["test/a/leak.png  =  train/a/000.png  (test, train)"]


def test_uneven_and_few(tmp_path):
    data = write_images(tmp_path / "u", {"a": 60, "b": 9}, size=(8, 8))
    findings = found(data)
    assert "a has 60 samples, b 9" in findings["uneven classes"].text
    assert "b" in findings["few train samples"].text


def test_no_file_is_touched(images):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in images.rglob("*") if p.is_file()}
    found(images)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in images.rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_trashnet(shared):
    """What is known of it: three images under two classes each, one of them across the authors' split."""
    root = shared / "data" / "trashnet"
    findings = found(root, split_files=(str(root / "one-indexed-files-notrash_{train,val,test}.txt"),))
    conflicts = {tuple(sorted(name.split("/")[1] for name in group)) for group in findings["label conflict"].groups}
    assert conflicts == {
        ("glass115.jpg", "metal91.jpg"),
        ("glass176.jpg", "plastic152.jpg"),
        ("glass389.jpg", "plastic332.jpg"),
    }
    assert ("glass/glass176.jpg", "plastic/plastic152.jpg") in findings["leak across splits"].groups
    assert "unreadable" not in findings
    assert ("paper/paper152.jpg", "paper/paper392.jpg") in findings[
        "near-duplicate leak"
    ].groups  # one scene, moments apart
    assert len(findings["near-duplicates"].groups) < 45  # of 3.2 million pairs
    assert not {"near-duplicate conflict", "shared name across splits", "blank", "odd size"} & set(findings)


@pytest.mark.parametrize("mode", ["I;16", "L"])
def test_odd_but_good_images_are_not_reported(tmp_path, mode):
    data = write_images(tmp_path / "d", {"a": 40, "b": 40}, size=(8, 8))
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16 if mode == "I;16" else np.uint8)).save(data / "a" / "odd.png")
    assert "unreadable" not in found(data)


def test_a_row_repeated_on_purpose_is_no_duplicate_file(images):
    from whet.data.audit import check_duplicates

    table = read_data(DataSpec(path=str(images)))
    twice = table.with_frame(pd.concat([table.frame, table.frame[table.frame["split"] == "train"]]))
    assert not check_duplicates(twice)
