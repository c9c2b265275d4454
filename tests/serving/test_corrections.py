"""Corrected samples, kept for the next training."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.serving.conftest import asked, image_bytes, make_bundle, service, wave_bytes

from whet.bundle import Bundle
from whet.core.errors import OutputError, ServingError
from whet.core.output import MARKER, kind_of
from whet.core.spec import DataSpec
from whet.data.read import read_data
from whet.serving.corrections import Corrections

CLASSES = ("blue", "green", "red")
PHOTO = image_bytes((200, 30, 90))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != MARKER}


@pytest.mark.parametrize(
    ("medium", "sample", "kind", "suffix"),
    [
        ("image", PHOTO, "image/png", ".png"),
        ("image", image_bytes((1, 2, 3), "JPEG"), "image/jpeg", ".jpg"),
        ("audio", wave_bytes(300, "FLAC"), "audio/flac", ".flac"),
        ("audio", wave_bytes(300), "audio/wav", ".wav"),
        ("text", b"good film", "text/plain", ".txt"),
    ],
    ids=["png", "jpg", "flac", "wav", "txt"],
)
def test_each_class_is_a_folder(tmp_path, medium, sample, kind, suffix):
    one = service(make_bundle(tmp_path / "bundle", medium, classes=CLASSES), corrections=tmp_path / "corrected")
    given = {"content-type": kind}
    answers = asked(one, *(("POST", f"/corrections?label={label}", sample, given) for label in ("red", "red", "green")))
    assert [answer.status for answer in answers] == [200] * 3
    names = {answer.json()["file"] for answer in answers}
    assert files(tmp_path / "corrected") == names and len(names) == 2
    assert {name.split("/")[0] for name in names} == {"red", "green"} and all(name.endswith(suffix) for name in names)
    assert (tmp_path / "corrected" / min(names)).read_bytes() == sample
    assert kind_of(tmp_path / "corrected") == "corrections"


def test_a_sample_that_arrives_many_times_at_once_is_kept_once(tmp_path):
    bundle = Bundle.read(make_bundle(tmp_path / "bundle", classes=CLASSES))
    kept = Corrections(tmp_path / "corrected", bundle, most=10_000_000)
    for number in range(20):
        photo = image_bytes((number, 9, 9))
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _, photo=photo: kept.keep(photo, "red"), range(16)))) == 1
    assert len(files(tmp_path / "corrected")) == 20
    assert kept.size == sum(path.stat().st_size for path in (tmp_path / "corrected" / "red").iterdir())


def test_the_next_training_reads_them(tmp_path):
    one = service(make_bundle(tmp_path / "bundle", classes=CLASSES), corrections=tmp_path / "corrected")
    asked(one, *(("POST", f"/corrections?label={CLASSES[k % 3]}", image_bytes((20 * k, 9, 9))) for k in range(12)))
    table = read_data(DataSpec(path=str(tmp_path / "corrected")))
    assert len(table) == 12 and table.classes == CLASSES and table.warnings == ()


def test_what_is_not_kept(tmp_path):
    one = service(
        make_bundle(tmp_path / "bundle", classes=CLASSES),
        corrections=tmp_path / "corrected",
        correction_bytes=len(PHOTO),
    )
    answers = asked(
        one, ("POST", "/corrections?label=violet", PHOTO), ("POST", "/corrections", PHOTO),
        ("POST", "/corrections?label=red", b"x"), ("POST", "/corrections?label=..%2Fred", PHOTO), ("GET", "/corrections"),
        ("POST", "/corrections?label=red", PHOTO, {"origin": "https://evil.example"}),
    )  # fmt: skip
    assert [answer.status for answer in answers] == [422, 422, 422, 422, 405, 403]
    assert files(tmp_path / "corrected") == set()
    first, second = asked(one, ("POST", "/corrections?label=red", PHOTO)) + asked(
        one, ("POST", "/corrections?label=blue", PHOTO)
    )
    assert first.status == 200 and second.status == 507
    again = service(
        tmp_path / "bundle", corrections=tmp_path / "corrected", correction_bytes=len(PHOTO)
    )  # after a restart
    assert asked(again, ("POST", "/corrections?label=blue", PHOTO))[0].status == 507


def test_folders_and_labels_that_cannot_be_used(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        service(make_bundle(tmp_path / "one", classes=CLASSES), corrections=mine)
    for number, name in enumerate(("a/b", "..", ".hidden", "a\0b", "x" * 300, "a\\b")):
        with pytest.raises(ServingError, match="cannot be named"):
            service(
                make_bundle(tmp_path / f"odd {number}", classes=("blue", name, "red")), corrections=tmp_path / "new"
            )
    with pytest.raises(ServingError, match="several"):
        service(make_bundle(tmp_path / "several", rule="each above 0.5"), corrections=tmp_path / "new")
    assert not (tmp_path / "new").exists()
