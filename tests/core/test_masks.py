import pickle
import tracemalloc

import numpy as np
import pytest

from whet.core import rle
from whet.core.errors import DataError
from whet.core.masks import IGNORE, IGNORE_ID, Masks, Shape
from whet.core.polygons import box_points


def box(class_number, *corners, **rest):
    return Shape(class_number, (box_points(*corners),), **rest)


class Pixels:
    """A file of pixels that is already read."""

    def __init__(self, values):
        self.values = values

    def read(self):
        return self.values

    def digest(self):
        return self.values.tobytes().hex()

    def __str__(self):
        return "pixels.png"


def test_later_shapes_paint_over_earlier_ones_and_the_covered_one_is_kept_whole():
    masks = Masks((20, 30), (box(1, 0, 0, 10, 10), box(2, 5, 5, 15, 15)))
    class_HW = masks.class_map()
    assert class_HW.dtype == np.uint8
    assert np.bincount(class_HW.ravel()).tolist() == [425, 75, 100]
    found = masks.id_map()
    assert found.ids_HW.dtype == np.uint16
    assert np.bincount(found.ids_HW.ravel()).tolist() == [425, 75, 100]
    assert found.class_of_id.tolist() == [1, 2]
    assert set(found.covered) == {1}
    assert [layer.mask.sum() for layer in found.layers()] == [100, 100]
    for one, other in zip(masks.layers(), found.layers()):
        assert np.array_equal(one.whole(masks.size), other.whole(masks.size))


def test_an_object_covered_whole_keeps_its_number():
    found = Masks((20, 30), (box(1, 2, 2, 4, 4), box(2, 0, 0, 10, 10), box(1, 15, 0, 16, 1))).id_map()
    assert [layer.mask.sum() for layer in found.layers()] == [4, 100, 1]
    assert found.class_of_id.tolist() == [1, 2, 1]


def test_a_crowd_is_ignored_below_the_objects():
    # Case 14.
    masks = Masks((20, 30), (box(1, 0, 0, 10, 10), box(2, 0, 0, 20, 20, crowd=True)))
    class_HW = masks.class_map()
    assert (class_HW == 1).sum() == 100
    assert (class_HW == IGNORE).sum() == 300
    found = masks.id_map()
    assert (found.ids_HW == IGNORE_ID).sum() == 300
    assert found.class_of_id.tolist() == [1]
    assert not found.covered
    assert [layer.crowd for layer in masks.layers()] == [False, True]


def test_weak_kinds_say_what_is_known_of_each_pixel():
    boxes = Masks((20, 30), (box(1, 0, 0, 10, 10, kind="box"), box(2, 5, 5, 7, 7)))
    assert np.bincount(boxes.class_map().ravel(), minlength=256)[[0, 1, 2, IGNORE]].tolist() == [500, 0, 4, 96]
    with pytest.raises(DataError, match="box does not say"):
        boxes.id_map()
    assert (boxes.as_masks().class_map() == 1).sum() == 96
    corners, classes, crowd = boxes.boxes()
    assert corners.tolist() == [[0, 0, 10, 10], [5, 5, 7, 7]]
    assert classes.tolist() == [1, 2]
    assert not crowd.any()
    line = np.array([[2.5, 3.5], [7.5, 3.5]])
    drawn = Masks((20, 30), (Shape(1, (line,), kind="scribble"), Shape(0, (np.array([[20.2, 10.9]]),), kind="point")))
    class_HW = drawn.class_map()
    assert (class_HW[3, 2:8] == 1).all()
    assert class_HW[10, 20] == 0
    assert (class_HW == IGNORE).sum() == 600 - 7
    assert drawn.kinds == {"scribble", "point"}


def test_object_files_are_numbered_without_gaps_and_take_the_majority_class():
    ids = np.zeros((4, 6), np.uint16)
    ids[0, :3], ids[2, :2], ids[3, 5] = 7, 300, IGNORE_ID
    alone = Masks((4, 6), id_file=Pixels(ids)).id_map()
    assert np.unique(alone.ids_HW).tolist() == [0, 1, 2, IGNORE_ID]
    assert alone.class_of_id.tolist() == [1, 1]
    classes = np.zeros((4, 6), np.uint8)
    classes[0, :2], classes[0, 2], classes[2, :2] = 3, 5, 4
    both = Masks((4, 6), class_file=Pixels(classes), id_file=Pixels(ids))
    assert both.id_map().class_of_id.tolist() == [3, 4]
    assert np.array_equal(both.class_map(), classes)
    one = Masks((4, 6), id_file=Pixels(ids)).class_map()
    assert (one == 1).sum() == 5
    assert one[3, 5] == IGNORE


def test_class_files_have_no_objects_and_must_have_the_size_of_the_image():
    masks = Masks((4, 6), class_file=Pixels(np.zeros((4, 6), np.uint8)))
    with pytest.raises(DataError, match=r"pixels\.png: it holds classes, not objects"):
        masks.id_map()
    with pytest.raises(DataError, match="6 x 4 pixels, the image 4 x 6"):
        Masks((6, 4), class_file=Pixels(np.zeros((4, 6), np.uint8))).class_map()


def test_masks_travel_and_have_a_digest_of_their_content():
    masks = Masks((20, 30), (box(1, 0, 0, 10, 10), Shape(2, rle=rle.encode(np.ones((20, 30))), crowd=True)))
    again = pickle.loads(pickle.dumps(masks))
    assert np.array_equal(again.class_map(), masks.class_map())
    assert again.digest() == masks.digest()
    moved = Masks((20, 30), (box(1, 0, 0, 10, 11), *masks.shapes[1:]))
    assert moved.digest() != masks.digest()


def test_a_hundred_large_masks_are_painted_piece_by_piece():
    # Case 24, at a tenth of the side: all masks at once would be 12 MB.
    height, width = 300, 400
    corners = np.random.default_rng(0).uniform(0, 1, (100, 2))
    shapes = [box(1 + k % 3, x * 100, y * 100, x * 100 + 290, y * 100 + 190) for k, (x, y) in enumerate(corners)]
    masks = Masks((height, width), tuple(shapes))
    tracemalloc.start()
    found = masks.id_map()
    class_HW = masks.class_map()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6
    assert len(found) == 100
    assert (found.ids_HW == 100).sum() == next(iter(Masks(masks.size, (shapes[-1],)).layers())).mask.sum()
    assert np.array_equal(class_HW > 0, found.ids_HW > 0)
    assert np.array_equal(class_HW[found.ids_HW > 0], found.class_of_id[found.ids_HW[found.ids_HW > 0] - 1])


def test_boxes_are_objects_where_that_is_wanted():
    """Below the masks, the smaller above the larger; a crowd stays ignored."""
    shapes = (
        box(1, 3, 3, 6, 6, kind="box"), box(2, 5, 5, 9, 9), box(3, 0, 0, 12, 12, kind="box"), box(1, 14, 0, 16, 2, crowd=True)
    )  # fmt: skip
    found = Masks((20, 30), shapes).id_map(boxes=True)
    assert found.class_of_id.tolist() == [3, 1, 2]
    assert found.boxed == {1, 2}
    assert np.bincount(found.ids_HW[found.ids_HW != IGNORE_ID]).tolist() == [600 - 144 - 4, 144 - 9 - 16 + 1, 8, 16]
    with pytest.raises(DataError, match="a point does not say"):
        Masks((20, 30), (box(1, 3, 3, 6, 6, kind="point"),)).id_map(boxes=True)
