import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.view import ImageView, rotation, scaling, translation
from whet.render.image_cpu import CpuRenderer
from whet.render.masks import warped_mask


def view_of(mask, size=None):
    return ImageView.whole([mask.shape], size or mask.shape)


def test_resizing_takes_the_pixel_at_the_centre():
    row = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], dtype=np.uint8)
    assert warped_mask(view_of(row, (1, 3)), 0, row, 255).tolist() == [[0, 1, 1]]


def test_no_new_value_appears():
    ids = np.array([0, 2, 6, 7, 10], dtype=np.uint8)[np.indices((40, 60)).sum(axis=0) // 9 % 5]
    view = view_of(ids, (33, 47)).warped_about_centre(rotation(np.array([31.0])))
    assert set(np.unique(warped_mask(view, 0, ids, 255))) <= {0, 2, 6, 7, 10, 255}


def test_a_shift_leaves_nothing_mirrored():
    """A 64 x 64 image with an object at x 0 to 10, shown 16 pixels further right: the mask has it at 16 to 26 only."""
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:, :10] = 1
    view = view_of(mask).warped(translation(np.array([-16.0]), np.array([0.0])))
    shown = warped_mask(view, 0, mask, 255)
    assert (shown[:, :16] == 255).all()
    assert (shown[:, 16:26] == 1).all()
    assert (shown[:, 26:] == 0).all()


@pytest.mark.parametrize("turn", [0.0, 20.0, 90.0])
def test_a_mask_shows_the_pixels_of_its_image(turn):
    mask = np.zeros((80, 120), dtype=np.uint8)
    mask[30:70, 40:90] = 3
    pixels = np.repeat((mask > 0).astype(np.uint8)[:, :, None] * 255, 3, axis=2)
    view = view_of(mask, (80, 80)).crop(np.array([[10, 5, 110, 75]])).warped_about_centre(rotation(np.array([turn])))
    out = np.empty((80, 80, 3), dtype=np.uint8)
    CpuRenderer(view).render(0, pixels, out)
    shown = warped_mask(view, 0, mask, 255)
    clear = ((out[..., 0] < 5) | (out[..., 0] > 250)) & (shown != 255)
    assert ((out[..., 0] > 127) == (shown == 3))[clear].all()
    assert clear.mean() > 0.6


@given(st.floats(0.3, 3), st.floats(0.3, 3), st.floats(-40, 40), st.floats(-40, 40))
def test_the_fast_path_equals_the_general_one(per_x, per_y, x, y):
    """A turn by an angle too small to be seen takes the general path. Only where pixel centres fall on an edge it may matter."""
    mask = (np.indices((40, 50)).sum(axis=0) // 7 % 5).astype(np.uint8)
    upright = scaling(np.array([per_x]), np.array([per_y])) @ translation(np.array([x]), np.array([y]))
    turned = upright.copy()
    turned[:, 0, 1] = 1e-12
    views = [view_of(mask).warped(matrix) for matrix in (upright, turned)]
    fast, general = (warped_mask(view, 0, mask, 255) for view in views)
    on_edge = [np.isclose(place % 1, 0, atol=2e-3) | np.isclose(place % 1, 1, atol=2e-3) for place in (
        per_x * (np.arange(50) + 0.5 + x), per_y * (np.arange(40) + 0.5 + y))]  # fmt: skip
    assert (fast == general)[~on_edge[1]][:, ~on_edge[0]].all()


def test_a_mask_of_another_size_is_refused():
    mask = np.zeros((20, 20), dtype=np.uint8)
    with pytest.raises(ValueError, match="differ in size"):
        warped_mask(view_of(mask), 0, mask[:5, :5], 255)
