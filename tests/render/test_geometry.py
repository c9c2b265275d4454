from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.view import ImageView, rotation, scaling, shearing
from whet.render import CpuRenderer, warp_boxes, warp_points


def some_view(degrees=0.0, slant=0.0, flip=False, box=(10, 5, 110, 90), size=(64, 80)):
    one = np.ones(1)
    view = ImageView.whole([(96, 128)], size).crop(np.array([box]))
    view = view.warped_about_centre(scaling(-one if flip else one, one))
    return view.warped_about_centre(rotation(degrees * one)).warped_about_centre(shearing(slant * one, 0 * one))


@given(st.floats(-180, 180), st.floats(-30, 30), st.booleans(), st.floats(0, 128), st.floats(0, 96))
def test_a_point_goes_where_its_pixel_goes(degrees, slant, flip, x, y):
    """The warp takes output to source; a point takes the way back."""
    view = some_view(degrees, slant, flip)
    (moved,) = warp_points(np.array([[x, y]]), view, 0)
    back = view.warp_B33[0] @ np.array([*moved, 1.0])
    assert back[:2] / back[2] == pytest.approx((x, y), abs=1e-6)


def test_a_rendered_dot_is_found_at_its_point():
    pixels = np.zeros((96, 128, 3), dtype=np.uint8)
    pixels[40:45, 60:65] = 255
    view = some_view(25.0, 8.0, True)
    out = np.empty((*view.size, 3), dtype=np.uint8)
    CpuRenderer(view).render(0, pixels, out)
    y, x = np.mgrid[0 : view.size[0], 0 : view.size[1]] + 0.5
    weight = out[:, :, 0].astype(float)
    centre = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
    assert warp_points(np.array([[62.5, 42.5]]), view, 0)[0] == pytest.approx(centre, abs=0.2)


def test_boxes_are_hulls_cut_to_the_frame():
    view = some_view(box=(0, 0, 128, 96), size=(96, 128))
    cut, seen = warp_boxes([[10, 20, 30, 40], [-20, 0, 20, 96]], view, 0)
    assert cut.tolist() == [[10, 20, 30, 40], [0, 0, 20, 96]]
    assert seen.tolist() == [1.0, 0.5]


def test_a_box_that_left_the_frame_is_empty():
    view = some_view(box=(64, 0, 128, 96), size=(96, 64))
    cut, seen = warp_boxes([[5, 5, 30, 30]], view, 0)
    assert seen.tolist() == [0.0]
    assert cut[0, 2] <= cut[0, 0]


def test_a_turned_box_holds_its_corners():
    view = some_view(30.0, box=(0, 0, 128, 96), size=(96, 128))
    box = np.array([[50, 40, 70, 60]])
    corners = warp_points(np.array([[50, 40], [70, 40], [70, 60], [50, 60]]), view, 0)
    (cut,), _ = warp_boxes(box, view, 0)
    assert cut == pytest.approx([*corners.min(axis=0), *corners.max(axis=0)])


def test_points_behind_the_horizon_are_nowhere():
    view = replace(some_view(), warp_B33=np.array([[[1.0, 0, 0], [0, 1, 0], [0.02, 0, 1]]]))
    assert np.isnan(warp_points(np.array([[100.0, 10.0]]), view, 0)).all()
