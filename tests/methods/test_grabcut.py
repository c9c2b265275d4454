import numpy as np
import pytest

from whet.core.masks import IGNORE, Masks, Shape
from whet.core.polygons import box_points
from whet.core.rng import Rng
from whet.methods import Grabcut


def disk(size=(100, 120), centre=(50, 60), radius=25):
    """(a green disk on a red ground with noise, bool (H, W) of the disk, the annotation with its box)."""
    y, x = np.ogrid[: size[0], : size[1]]
    inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
    pixels = (
        np.where(inside[..., None], (60, 170, 70), (170, 60, 60))
        + 12 * Rng(1).batch("disk", 0, np.arange(1)).normal((*size, 3))[0]
    )
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    corners = box_points(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return pixels.clip(0, 255).astype(np.uint8), inside, Masks(size, (Shape(1, (corners,), kind="box"),))


def found_in(pixels, masks, **settings):
    return Grabcut(**settings).mask_maker(None, ())(pixels, masks)["grabcut"].class_map()


def test_a_disk_is_found_in_its_box():
    pixels, inside, masks = disk()
    found = found_in(pixels, masks)
    known = found != IGNORE
    assert known.mean() > 0.97
    assert ((found == 1) & inside)[known].sum() / ((found == 1) | inside)[known].sum() > 0.97
    assert (found[:20] == 0).all()  # outside the box


def test_the_same_image_gives_the_same_mask_after_other_images():
    pixels, _, masks = disk()
    first = found_in(pixels, masks)
    other, _, boxes = disk(centre=(40, 50), radius=12)
    found_in(other, boxes)
    assert np.array_equal(found_in(pixels, masks), first)


def test_a_box_in_which_nothing_stands_out_is_an_object_as_a_whole():
    pixels, _, masks = disk()
    plain = np.full_like(pixels, 128)
    found = found_in(plain, masks)
    assert np.array_equal(found, masks.as_masks().class_map())


@pytest.mark.parametrize("corners", [(0, 0, 120, 100), (5, 5, 8, 8)])
def test_boxes_without_surroundings_or_colours_are_filled(corners):
    pixels, _, _ = disk()
    masks = Masks((100, 120), (Shape(2, (box_points(*corners),), kind="box"),))
    assert np.array_equal(found_in(pixels, masks), masks.as_masks().class_map())
