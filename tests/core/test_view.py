import numpy as np
import pytest

from whet.core.view import ImageView, rotation, scaling, shearing, translation


def at(view, x, y, i=0):
    """The source point shown at output point (x, y)."""
    point = view.warp_B33[i] @ np.array([x, y, 1.0])
    return tuple(point[:2] / point[2])


def test_the_empty_view_shows_the_image_whole():
    view = ImageView.whole([(100, 200)], (50, 50))
    assert at(view, 0, 0) == (0, 0)
    assert at(view, 50, 50) == (200, 100)
    assert at(view, 25, 25) == (100, 50)


def test_crop_fit_shows_the_largest_centred_part_of_the_output_s_shape():
    view = ImageView.whole([(100, 200), (300, 100)], (50, 50), "crop")
    assert at(view, 0, 0) == (50, 0)
    assert at(view, 50, 50) == (150, 100)
    assert at(view, 0, 0, 1) == (0, 100)


def test_cropping_shows_the_box():
    view = ImageView.whole([(100, 200)], (50, 50)).crop(np.array([[10, 20, 60, 70]]))
    assert at(view, 0, 0) == (10, 20)
    assert at(view, 50, 50) == (60, 70)


def test_maps_about_the_centre_keep_the_centre():
    one = np.ones(1)
    for linear in (rotation(30 * one), scaling(-one, one), shearing(10 * one, 5 * one)):
        view = ImageView.whole([(80, 80)], (40, 40)).warped_about_centre(linear)
        assert at(view, 20, 20) == pytest.approx((40, 40))


def test_a_quarter_turn_counter_clockwise_brings_the_right_edge_to_the_top():
    view = ImageView.whole([(40, 40)], (40, 40)).warped_about_centre(rotation(np.array([90.0])))
    assert at(view, 20, 0) == pytest.approx((40, 20))  # the top centre shows what was at the middle of the right edge


def test_shifts_move_the_image_with_them():
    view = ImageView.whole([(40, 40)], (40, 40)).warped(translation(np.array([-5.0]), np.array([0.0])))
    assert at(view, 5, 0) == (0, 0)  # moved right by 5: the left edge now lies at 5


def test_colours_compose_as_functions_with_the_mean_carried_along(photo):
    """x' = A x + D mean + b twice, composed, equals doing one after the other (no clipping between)."""
    rng = np.random.Generator(np.random.PCG64(0))
    x = photo.reshape(-1, 3).astype(float)
    steps = [(rng.normal(size=(1, 3, 3)), rng.normal(size=(1, 3, 3)), rng.normal(size=(1, 3))) for _ in range(3)]
    view, expected = ImageView.whole([(96, 128)], (96, 128)), x
    for a, d, b in steps:
        view = view.coloured(a, d, b)
        expected = expected @ a[0].T + d[0] @ expected.mean(axis=0) + b[0]
    assert view.colour_B37 is not None
    a, d, b = view.colour_B37[0, :, :3], view.colour_B37[0, :, 3:6], view.colour_B37[0, :, 6]
    assert np.allclose(x @ a.T + d @ x.mean(axis=0) + b, expected)


def test_drawing_gives_a_new_view():
    view = ImageView.whole([(8, 8)], (8, 8))
    before = view.warp_B33.copy()
    view.warped_about_centre(rotation(np.array([10.0])))
    view.crop(np.array([[0, 0, 4, 4]]))
    assert (view.warp_B33 == before).all()
