import shutil

from tests.data.audit.conftest import save, scene

from whet.data.audit import check_near_duplicates


def kinds(found):
    return {finding.kind: finding for finding in found}


def test_copies_conflicts_and_leaks(tmp_path, survey):
    for part, start in (("train", 0), ("val", 12), ("test", 24)):
        for number in range(start, start + 12):
            save(scene(number), tmp_path / part / "ab"[number % 2] / f"{number}.jpg")
    save(scene(0), tmp_path / "train" / "a" / "again.jpg", quality=60)
    save(scene(2)[:, ::-1], tmp_path / "train" / "b" / "mirrored.jpg")
    save(scene(24)[2:-2, 3:-1], tmp_path / "train" / "a" / "leak.jpg")
    found = kinds(check_near_duplicates(survey(tmp_path)))
    assert set(found["near-duplicates"].groups) == {
        ("train/a/0.jpg", "train/a/again.jpg"), ("train/a/2.jpg", "train/b/mirrored.jpg"), ("test/a/24.jpg", "train/a/leak.jpg")
    }  # fmt: skip
    assert found["near-duplicate conflict"].groups == (("train/a/2.jpg", "train/b/mirrored.jpg"),)
    assert (
        "mirrored" in found["near-duplicate conflict"].notes[0] and "a, b" in found["near-duplicate conflict"].notes[0]
    )
    assert found["near-duplicate leak"].groups == (("test/a/24.jpg", "train/a/leak.jpg"),)
    assert found["near-duplicate leak"].severity == "problem"


def test_different_photos_are_no_finding(photos, survey):
    assert not check_near_duplicates(survey(photos))


def test_the_same_bytes_are_left_to_the_exact_check(photos, survey):
    shutil.copy(photos / "a" / "p0.jpg", photos / "a" / "copy.jpg")
    assert not check_near_duplicates(survey(photos))


def test_small_images_are_not_searched_and_that_is_said(tmp_path, survey):
    for number in range(24):
        save(scene(number % 12, (20, 20)), tmp_path / "ab"[number % 2] / f"{number}.jpg", quality=60 + number)
    (finding,) = check_near_duplicates(survey(tmp_path))
    assert finding.kind == "near-duplicates not searched" and "24 images" in finding.text
