import math

import numpy as np

from whet.core.masks import IGNORE, Masks, Shape
from whet.methods import LabelFill


def filled(numbers, size=(200, 300), **settings):
    masks = Masks(size, tuple(Shape(k, kind="label") for k in numbers))
    (found,) = LabelFill(**settings).mask_maker(None, ())(np.zeros((*size, 3), np.uint8), masks).values()
    return found


def test_the_class_fills_an_ellipse_of_the_stated_size():
    found = filled(
        [3],
        size=(200, 300),
    )
    assert set(np.unique(found)) == {0, 3}
    assert math.isclose((found == 3).mean(), math.pi / 4 * 0.8**2, rel_tol=0.01)
    assert np.array_equal(found, found[::-1]) and np.array_equal(found, found[:, ::-1])


def test_the_class_fills_the_image():
    assert (filled([2], shape="image") == 2).all()


def test_of_several_classes_the_place_is_not_known():
    assert set(np.unique(filled([1, 2]))) == {0, IGNORE}
