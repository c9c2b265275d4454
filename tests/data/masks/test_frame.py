import numpy as np
import pytest
from PIL import Image
from tests.data.masks.conftest import save_image

from whet.core.errors import DataError
from whet.data.image import ImageSample, upright
from whet.data.masks.frame import Frame, FrameUnknown, frame_of, frames_of


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_header_tells_the_size_of_the_decoded_image(tmp_path, suffix, orientation):
    path = save_image(tmp_path / f"1.{suffix}", 40, 20, orientation)
    frame = frame_of(path)
    assert frame == Frame((20, 40), orientation)
    assert frame.size == ImageSample(path.read_bytes()).pixels().shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_are_turned_like_pixels(orientation):
    stored = np.zeros((20, 40), np.uint8)
    stored[3, 7] = 1
    y, x = np.argwhere(upright(stored, orientation))[0]
    turned = Frame((20, 40), orientation).turn_points(np.array([[7.5, 3.5]]), orientation)
    assert turned.tolist() == [[x + 0.5, y + 0.5]]


def test_the_size_decides_and_doubt_is_refused():
    # Case 1.
    turned = Frame((20, 40), 6)
    assert turned.turn_for((40, 20), None, "x") == 1
    assert turned.turn_for((20, 40), None, "x") == 6
    assert turned.turn_for(None, "stored", "x") == 6
    for frame, stated in ((Frame((20, 40), 3), (20, 40)), (Frame((20, 20), 6), (20, 20)), (turned, None)):
        with pytest.raises(FrameUnknown, match=r"x: .*data\.masks\.frame"):
            frame.turn_for(stated, None, "x")
    with pytest.raises(DataError, match="for 30 x 20 pixels, the image has 20 x 40"):
        turned.turn_for((20, 30), None, "x")
    with pytest.raises(DataError, match="for 40 x 20 pixels"):
        turned.turn_for((20, 40), "upright", "x")


def test_files_that_are_no_images_have_a_reason(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xffabc")
    Image.new("RGB", (4000, 3000)).save(tmp_path / "c.jpg")
    found = frames_of([tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")])
    assert found[0] == "empty file"
    assert str(found[1]).startswith("not an image")
    assert found[2] == Frame((3000, 4000))
    assert found[3] == "No such file or directory"
