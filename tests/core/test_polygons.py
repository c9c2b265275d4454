import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from whet.core.masks import Layer
from whet.core.polygons import box_of, box_points, clipped, polygon_fault, raster

SQUARE = box_points(10, 10, 50, 50)


def whole(polygons, size):
    return Layer(0, *raster(polygons, size)).whole(size)


def test_a_square_covers_its_area():
    # Case 2: fillPoly and Pillow give 1681.
    assert whole([SQUARE], (60, 60)).sum() == 1600


def test_polygons_are_a_union_and_a_ring_with_a_cut_is_a_hole():
    # Case 15.
    inner = box_points(20, 20, 40, 40)
    assert whole([SQUARE, inner], (60, 60)).sum() == 1600
    ring = np.concatenate([SQUARE, SQUARE[:1], inner[[0, 3, 2, 1]], inner[:1]])
    assert whole([ring], (60, 60)).sum() == 1200


@given(
    st.lists(st.tuples(st.integers(-300, 600), st.integers(-300, 600)), min_size=3, max_size=9),
    st.integers(0, 2),
    st.integers(1, 40),
    st.integers(1, 40),
)
@settings(max_examples=400, deadline=None)
def test_pixels_are_those_of_pycocotools(corners, digits, height, width):
    points = np.array(corners) / 10.0**digits
    expected = coco.decode(coco.frPyObjects([points.ravel().tolist()], height, width))[:, :, 0].astype(bool)
    found = whole([points], (height, width))
    if expected.any():
        assert np.array_equal(found, expected)
        assert polygon_fault(points, (height, width)) == ""
    else:
        assert found.sum() <= 1


@pytest.mark.parametrize("corner", [10.0, 10.1, 10.3, 10.6, 59.6])
def test_an_object_smaller_than_a_pixel_has_one(corner):
    # Case 18: pycocotools gives none or one, by the place.
    points = box_points(corner, 10.3, corner + 0.4, 10.7)
    assert polygon_fault(points, (60, 60)) == ""
    top, left, mask = raster([points], (60, 60))
    assert (top, mask.shape) == (10, (1, 1))
    assert left in (int(corner), int(corner) + 1)


@pytest.mark.parametrize(
    ("points", "fault"),
    [
        ([[1, 1], [5, 5]], "2 points"),
        ([], "0 points"),
        ([[1, 1], [5, 5], [3, float("nan")]], "finite"),
        ([[1, 1], [5, 5], [3, float("inf")]], "finite"),
        ([[1, 1], [5, 5], [3, 3], [9, 9]], "one line"),
        ([[1, 1], [1, 1], [1, 1]], "one line"),
        (box_points(70, 70, 90, 90), "outside"),
        (box_points(-20, 0, 0, 60), "outside"),
        ([[-10, 30], [30, 70], [-10, 70]], ""),
        ([[-50, 30], [-10, 90], [10, 90]], "outside"),  # its bounding box is not
        (box_points(-20, -20, 20, 20), ""),
    ],
)
def test_faults(points, fault):
    found = polygon_fault(np.array(points, float).reshape(-1, 2), (60, 60))
    assert (fault in found) if fault else found == ""


def test_what_lies_half_outside_is_clipped():
    assert whole([box_points(-20, -20, 20, 20)], (60, 60)).sum() == 400
    assert np.array_equal(clipped(box_points(-20, -20, 20, 20), (0, 0, 60, 60)).max(axis=0), [20, 20])


def test_coordinates_far_away_cost_nothing():
    assert whole([box_points(-1e12, -1e12, 1e12, 1e12)], (60, 60)).all()
    assert whole([box_points(-1e300, 10, 1e300, 20)], (60, 60)).sum() == 600


def test_boxes_are_recognised():
    assert box_of(SQUARE) == (10, 10, 50, 50)
    assert box_of(np.concatenate([SQUARE, SQUARE[:1]])) == (10, 10, 50, 50)
    assert box_of(SQUARE[[2, 1, 0, 3]]) == (10, 10, 50, 50)
    assert box_of(SQUARE[[0, 2, 1, 3]]) is None
    assert box_of(SQUARE + [[0, 0], [0, 0], [0, 1], [0, 0]]) is None
    assert box_of(SQUARE[:3]) is None
