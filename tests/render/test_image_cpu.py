import cv2
import numpy as np
import pytest

from whet.core.view import Cover, Filter, ImageView, Tone, rotation, scaling, translation
from whet.render import CpuRenderer, shrink, shrink_factors
from whet.render.shrink import decoder_factors


def render(view, pixels, i=0):
    out = np.empty((*view.size, 3), dtype=np.uint8)
    factors = shrink_factors(view)[i]
    CpuRenderer(view).render(i, shrink(pixels, pixels.shape[:2], factors), out)
    return out


def whole(pixels, size=None):
    return ImageView.whole([pixels.shape[:2]], size or pixels.shape[:2])


def test_the_empty_view_at_the_image_s_own_size_is_the_image(photo):
    assert (render(whole(photo), photo) == photo).all()


def test_a_whole_pixel_crop_is_a_slice(photo):
    view = whole(photo, (40, 50)).crop(np.array([[30, 20, 80, 60]]))
    assert (render(view, photo) == photo[20:60, 30:80]).all()


def test_a_mirrored_crop_is_a_mirrored_slice(photo):
    view = (
        whole(photo, (40, 50)).crop(np.array([[30, 20, 80, 60]])).warped_about_centre(scaling(-np.ones(1), np.ones(1)))
    )
    assert (render(view, photo) == photo[20:60, 30:80][:, ::-1]).all()


def test_a_resize_is_opencv_s(photo):
    assert (render(whole(photo, (60, 70)), photo) == cv2.resize(photo, (70, 60), interpolation=cv2.INTER_LINEAR)).all()


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_move_pixels_exactly(photo, quarter):
    square = np.ascontiguousarray(photo[:96, :96])
    view = whole(square).warped_about_centre(rotation(np.array([90.0 * quarter])))
    assert np.abs(render(view, square).astype(int) - np.rot90(square, quarter)).max() <= 1


def test_a_shift_mirrors_the_border(photo):
    view = whole(photo).warped(translation(np.array([-10.0]), np.array([0.0])))
    out = render(view, photo)
    assert (out[:, 10:] == photo[:, :-10]).all()
    assert (out[:, :10] == photo[:, 10:0:-1]).all()  # …3 2 1 | 0 1 2…: the edge is not repeated


def test_fast_path_and_general_warp_agree(photo):
    """The same crop half a thousandth of a pixel off the grid goes through the general warp."""
    straight = whole(photo, (64, 64)).crop(np.array([[10, 8, 100, 90]]))
    general = whole(photo, (64, 64)).crop(np.array([[10.002, 8.002, 100.002, 90.002]]))
    assert np.abs(render(straight, photo).astype(float) - render(general, photo)).mean() < 0.5


def test_shrinking_far_averages_instead_of_skipping():
    """A one-pixel checkerboard shown at an eighth of its size is grey, not a moiré."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = np.repeat(board[:, :, None], 3, axis=2)
    for view in (whole(pixels, (32, 32)), whole(pixels, (32, 32)).warped_about_centre(rotation(np.array([10.0])))):
        out = render(view, pixels)
        assert np.abs(out.astype(int) - 127).max() <= 3


def test_shrink_factors():
    view = ImageView.whole([(100, 100), (800, 200), (50, 50), (230, 231)], (100, 100))
    assert shrink_factors(view).tolist() == [[1, 1], [6, 1], [1, 1], [1, 1]]
    far = ImageView.whole([(1000, 500), (250, 249)], (100, 100))
    assert shrink_factors(far).tolist() == [[8, 4], [2, 1]]
    assert decoder_factors(np.array([[1, 1], [8, 2], [9, 12], [4, 5], [3, 7]])).tolist() == [1, 2, 8, 4, 2]


def test_colour_is_applied_once_with_rounding_and_clipping(photo):
    view = whole(photo).coloured(np.eye(3)[None] * 1.5, b_B3=np.array([[10.0, 0, -20]]))
    expected = np.clip(np.rint(photo * 1.5 + [10, 0, -20]), 0, 255)
    assert np.abs(render(view, photo) - expected).max() <= 1


def test_tones_compose_in_order(photo):
    invert = np.broadcast_to(255.0 - np.arange(256), (1, 3, 256))
    halve = np.broadcast_to(np.arange(256) // 2 * 1.0, (1, 3, 256))
    yes = np.array([True])
    view = whole(photo).toned(Tone(yes, invert)).toned(Tone(yes, halve))
    assert (render(view, photo) == (255 - photo) // 2).all()
    assert (render(whole(photo).toned(Tone(~yes, invert)), photo) == photo).all()


def test_covers(photo):
    key = np.array([7])
    box = np.array([[[10, 20, 40, 50]]])
    black = render(whole(photo).covered(Cover(box, "black", key)), photo)
    assert (black[20:50, 10:40] == 0).all()
    assert (black[:20] == photo[:20]).all()
    mean = render(whole(photo).covered(Cover(box, "mean", key)), photo)
    assert np.abs(mean[30, 20].astype(float) - photo.mean(axis=(0, 1))).max() <= 1
    noise = render(whole(photo).covered(Cover(box, "noise", key)), photo)[20:50, 10:40]
    assert abs(noise.mean() - 127.5) < 6
    assert noise.std() > 60
    none = render(whole(photo).covered(Cover(box * 0, "black", key)), photo)
    assert (none == photo).all()


def test_sharpening_by_minus_one_is_the_smoothing(photo):
    smooth = render(whole(photo).filtered(Filter("sharpen", np.array([-1.0]))), photo)
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13
    assert np.abs(smooth[1:-1, 1:-1].astype(int) - cv2.filter2D(photo, -1, kernel)[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize(("dx", "dy"), [(-9, 0), (0, 12), (-20, -31), (40, 7), (5, 5)])
def test_a_crop_beyond_the_edge_on_whole_pixels_is_the_general_warp_s(photo, dx, dy):
    """The mirrored border, without resampling."""
    height, width = photo.shape[:2]
    view = ImageView.whole([(height, width)], (height, width)).crop(np.array([[dx, dy, dx + width, dy + height]]))
    renderer, out = CpuRenderer(view), np.empty_like(photo)
    renderer.render(0, photo, out)
    matrix = np.array([[1.0, 0, dx], [0, 1, dy]])
    reference = cv2.warpAffine(
        photo, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
    )
    assert (out == reference).all()
    assert renderer._box_B[0] is not None
