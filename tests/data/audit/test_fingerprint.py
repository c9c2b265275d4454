import numpy as np
from tests.data.audit.conftest import save, scene

from whet.data.audit import fingerprint as module
from whet.data.audit.fingerprint import FINGERPRINT, THUMB, fingerprint, fingerprints
from whet.data.image import decode


def test_what_a_fingerprint_tells(tmp_path):
    path = save(scene(1, (300, 400)), tmp_path / "a.jpg")
    print_ = fingerprint(path.read_bytes())
    assert (print_["height"], print_["width"], print_["bytes"]) == (300, 400, path.stat().st_size)
    assert print_["format"] == b"JPEG" and print_["mode"] == b"RGB" and print_["reason"] == b""
    assert print_["thumb"].mean(axis=(0, 1)) == __import__("pytest").approx(
        decode(path.read_bytes()).mean(axis=(0, 1)), abs=1.5
    )


def test_reduced_decoding_sees_the_same_image(tmp_path):
    """A JPEG is decoded to a half here, a PNG as a whole."""
    pixels = scene(2, (400, 520))
    one = fingerprint(save(pixels, tmp_path / "a.jpg", quality=95).read_bytes())
    other = fingerprint(save(pixels, tmp_path / "a.png").read_bytes())
    assert np.abs(one["thumb"].astype(int) - other["thumb"]).mean() < 1.5


def test_damage_is_a_reason(tmp_path):
    data = save(scene(1, (300, 400)), tmp_path / "a.jpg").read_bytes()
    for bad in (data[: len(data) // 2], b"", b"<html>", data[:3]):
        print_ = fingerprint(bad)
        assert print_["reason"] != b"" and print_["height"] == 0


def test_orientation_camera_and_time(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110], exif[0x0132] = 6, "Canon", "Canon EOS", "2020:01:02 03:04:05"
    path = save(scene(1, (60, 80)), tmp_path / "a.jpg", exif=exif)
    print_ = fingerprint(path.read_bytes())
    assert (print_["height"], print_["width"], print_["orientation"]) == (80, 60, 6)
    assert print_["camera"] == b"Canon EOS" and print_["taken"] == b"2020:01:02 03:04:05"


def test_known_contents_are_not_opened_again(photos, survey, monkeypatch):
    first = survey(photos).prints_N
    monkeypatch.setattr(module, "fingerprint", None)
    table = survey(photos).table
    told = []
    again = fingerprints(table, 2, told.append)
    assert again.tobytes() == first.tobytes()
    assert sum(told) == len(table)


def test_a_cache_that_cannot_be_used_costs_time_only(photos, survey, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    wanted = survey(photos).prints_N
    monkeypatch.setenv("WHET_CACHE", str(blocked))
    assert survey(photos).prints_N.tobytes() == wanted.tobytes()
    monkeypatch.setenv("WHET_CACHE", str(tmp_path / "damaged"))
    survey(photos)
    for path in (tmp_path / "damaged").rglob("*.sqlite"):
        path.write_bytes(b"not a database" * 1000)
    assert survey(photos).prints_N.tobytes() == wanted.tobytes()


def test_size():
    assert FINGERPRINT.itemsize < 8000 and FINGERPRINT["thumb"].shape == (THUMB, THUMB, 3)
