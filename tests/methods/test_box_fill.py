import numpy as np

from whet.core.masks import IGNORE, Masks, Shape
from whet.core.polygons import box_points
from whet.methods import BoxFill


def filled(*shapes):
    masks = Masks((20, 30), tuple(shapes))
    (found,) = BoxFill().mask_maker(None, ())(np.zeros((20, 30, 3), np.uint8), masks).values()
    return found.class_map()


def box(class_number, *corners, **rest):
    return Shape(class_number, (box_points(*corners),), kind="box", **rest)


def test_every_pixel_of_a_box_has_its_class_and_the_rest_is_background():
    found = filled(box(2, 3, 4, 13, 10))
    expected = np.zeros((20, 30))
    expected[4:10, 3:13] = 2
    assert np.array_equal(found, expected)


def test_the_smaller_of_two_boxes_is_on_top_in_any_order():
    small, large = box(1, 5, 5, 9, 9), box(2, 2, 2, 20, 18)
    for shapes in ((small, large), (large, small)):
        found = filled(*shapes)
        assert (found == 1).sum() == 16 and (found == 2).sum() == 18 * 16 - 16


def test_crowds_are_ignored_below_objects_and_masks_stay():
    outline = Shape(3, (np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]]),))
    found = filled(box(1, 2, 2, 10, 10), box(1, 8, 8, 20, 18, crowd=True), outline)
    assert (found[:4, :4] == 3).all() and found[9, 9] == 1 and found[15, 15] == IGNORE and found[19, 29] == 0
