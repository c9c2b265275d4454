import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.data.audit.conftest import save, scene

from whet.data.audit import audit_survey, check_blank, check_colours, check_origin, check_sizes
from whet.data.audit.sizes import outliers


def kinds(found):
    return {finding.kind: finding for finding in found}


def test_ordinary_photos_are_nothing_odd(photos, survey):
    seen = survey(photos)
    assert not [*check_blank(seen), *check_colours(seen), *check_origin(seen), *check_sizes(seen)]


def test_blank_and_blurred(photos, survey):
    import cv2

    save(np.zeros((96, 128, 3), np.uint8), photos / "a" / "black.jpg")
    save(np.full((96, 128, 3), 250, np.uint8), photos / "a" / "white.png")
    save(cv2.GaussianBlur(scene(90), (0, 0), 9), photos / "a" / "blurred.jpg")
    found = kinds(check_blank(survey(photos)))
    assert found["blank"].lines() == ["a/black.jpg  (black)", "a/white.png  (white)"]
    assert found["blurred"].groups == (("a/blurred.jpg",),)


def test_odd_sizes_and_shapes(photos, survey):
    save(scene(90, (12, 16)), photos / "a" / "tiny.jpg")
    save(scene(91, (60, 210)), photos / "a" / "wide.jpg")
    save(scene(92, (128, 96)), photos / "b" / "upright.jpg")
    found = kinds(check_sizes(survey(photos)))
    assert found["odd size"].lines() == ["a/tiny.jpg  (16 x 12)"]
    assert found["odd shape"].lines() == ["a/wide.jpg  (210 x 60)"]


@given(st.floats(-20, 20), st.integers(5, 60))
def test_outliers_do_not_depend_on_where_values_lie(shift, count):
    values = np.concatenate([np.linspace(0, 0.5, count), [3.0]])
    assert outliers(values + shift, 1.0).tolist() == [False] * count + [True]
    assert not outliers(np.full(count, shift), 1.0).any()


def test_grey_and_odd_modes(photos, survey):
    Image.fromarray(scene(80)).convert("L").save(photos / "a" / "grey.png")
    Image.fromarray(scene(81)).convert("CMYK").save(photos / "a" / "print.jpg")
    Image.fromarray(scene(82)[..., 0].astype(np.uint16) * 256).save(photos / "a" / "deep.png")
    found = kinds(check_colours(survey(photos)))
    assert found["odd colour mode"].groups == (("a/deep.png",), ("a/print.jpg",))
    assert found["mixed colours"].groups == (("a/deep.png",), ("a/grey.png",))


@pytest.mark.parametrize(
    "what",
    [
        "size predicts the class",
        "camera predicts the class",
        "file format predicts the class",
        "colour predicts the class",
    ],
)
def test_what_belongs_to_one_class(what, tmp_path, survey):
    exif = Image.Exif()
    exif[0x0110] = "Cam 1"
    for number in range(30):
        pixels, suffix, options = scene(number), "jpg", {}
        if number % 3 == 0:
            if what.startswith("size"):
                pixels = pixels[:80, :100]
            elif what.startswith("camera"):
                options = {"exif": exif}
            elif what.startswith("colour"):
                pixels = np.repeat(pixels[..., :1], 3, axis=2)
            else:
                suffix = "png"
        save(pixels, tmp_path / "abc"[number % 3] / f"{number}.{suffix}", **options)
    findings = kinds(audit_survey(survey(tmp_path)))
    assert findings[what].severity == "warning" and "100 % of a are" in findings[what].text
    assert sum(kind.endswith("predicts the class") for kind in findings) == 1


def test_orientation_flags(photos, survey):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(scene(70, (128, 96)), photos / "a" / "turned.jpg", exif=exif)
    found = kinds(check_origin(survey(photos)))
    assert found["orientation flag"].lines() == ["a/turned.jpg  (EXIF orientation 6)"]
