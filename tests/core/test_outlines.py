import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from whet.core import rle
from whet.core.masks import Layer
from whet.core.outlines import polygons_of
from whet.core.polygons import box_points, raster


@given(hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=200, deadline=None)
def test_polygons_cover_exactly_the_mask(mask):
    polygons = polygons_of(mask)
    found = Layer(0, *raster(polygons, mask.shape)).whole(mask.shape) if polygons else np.zeros_like(mask)
    assert np.array_equal(found, mask)
    if polygons:
        flat = coco.merge(coco.frPyObjects([points.ravel().tolist() for points in polygons], *mask.shape))
        assert np.array_equal(coco.decode(flat).astype(bool), mask)


def test_a_square_is_its_four_corners_and_survives_ten_round_trips():
    # Case 3.
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    assert sorted(map(tuple, polygons_of(mask)[0])) == sorted(map(tuple, box_points(10, 10, 50, 50)))
    for _ in range(10):
        mask = Layer(0, *raster(polygons_of(mask), mask.shape)).whole(mask.shape)
        mask = Layer(0, *rle.decode_cropped(rle.encode(mask), mask.shape)).whole(mask.shape)
    assert mask.sum() == 1600


def test_a_hole_stays_a_hole_and_touching_corners_stay_apart():
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    polygons = polygons_of(ring)
    assert len(polygons) == 2
    assert Layer(0, *raster(polygons, ring.shape)).whole(ring.shape).sum() == 24
    assert len(polygons_of(np.eye(3, dtype=bool))) == 3
