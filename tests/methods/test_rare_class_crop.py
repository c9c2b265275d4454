from dataclasses import replace

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.masks import IGNORE, IGNORE_ID, IdMap, Masks
from whet.core.rng import Rng
from whet.core.view import ImageView
from whet.data.image_loader import MasksBeside
from whet.data.mask_store import MaskStore
from whet.methods import RandomResizedCrop, RareClassCrop
from whet.methods.augment_image.rare_class_crop import drawn_pixel
from whet.render.masks import warped_mask

B, SOURCE, SIZE = 2000, (96, 128), (48, 64)


def image():
    """Background, a can of 40 x 40, and 3 x 3 pixels of glass near a corner, away from the can."""
    classes = np.zeros(SOURCE, np.uint8)
    classes[40:80, 20:60] = 1
    classes[4:7, 110:113] = 2
    classes[:, :2] = IGNORE
    return classes


def drawn(*methods, classes=None, count=B):
    classes = image() if classes is None else classes
    view = replace(ImageView.whole([SOURCE] * count, SIZE), class_maps=(lambda: classes,) * count)
    for method in methods:
        view = method.draw(view, Rng(0).batch(method.name, 0, np.arange(count)))
    return view


def boxes(view):
    """(x0, y0, x1, y1) in source pixels."""
    warp, (h, w) = view.warp_B33, view.size
    x0, y0 = warp[:, 0, 2], warp[:, 1, 2]
    return np.stack([x0, y0, x0 + warp[:, 0, 0] * w, y0 + warp[:, 1, 1] * h], axis=1)


def holds_glass(view):
    x0, y0, x1, y1 = boxes(view).T
    return (x0 <= 110) & (x1 >= 113) & (y0 <= 4) & (y1 >= 7)


def test_the_share_of_crops_that_hold_the_rare_class():
    """Glass has 9 pixels, the can 1600, the background 10487: 1/9 of 1/9 + 1/1600 + 1/10487 is 99.4 % of the drawn pixels. Without
    the method, a crop of a fifth of the area misses the corner more often than not."""
    without = holds_glass(drawn(RandomResizedCrop(min_area=0.2))).mean()
    third = holds_glass(drawn(RandomResizedCrop(min_area=0.2), RareClassCrop(prob=0.33))).mean()
    always = holds_glass(drawn(RareClassCrop(prob=1.0))).mean()
    assert without < 0.5
    assert third == pytest.approx(without + 0.33 * (0.994 - without), abs=0.03)
    assert always > 0.98


def test_classes_are_drawn_with_odds_inverse_to_their_pixels():
    classes = np.zeros((10, 10), np.uint8)
    classes[0, :5], classes[1, :], classes[9] = 1, 2, IGNORE
    draws = (np.arange(3000) + 0.5) / 3000
    found = np.array([classes[int(y), int(x)] for x, y in (drawn_pixel(classes, u, 0.5) for u in draws)])
    odds = 1 / np.array([75, 5, 10])
    np.testing.assert_allclose(np.bincount(found, minlength=3) / 3000, odds / odds.sum(), atol=1e-3)
    places = {drawn_pixel(classes, 0.9 * odds[0] / odds.sum(), u) for u in draws}
    assert len(places) == 75  # every pixel of the background, by its middle
    assert all(x % 1 == y % 1 == 0.5 for x, y in places)


def test_the_drawn_pixel_is_the_middle_where_the_border_allows_it():
    classes = np.zeros(SOURCE, np.uint8)
    classes[48, 64] = 1
    box_B4 = boxes(drawn(RareClassCrop(prob=1.0, min_area=0.2), classes=classes))
    around = (classes.size - 1) / classes.size  # of the crops are around the one pixel
    middle = np.stack([box_B4[:, 0] + box_B4[:, 2], box_B4[:, 1] + box_B4[:, 3]], axis=1) / 2
    near = (np.abs(middle - (64.5, 48.5)) <= 1).all(axis=1)
    assert near.mean() == pytest.approx(around, abs=0.01)
    assert np.abs(box_B4 - np.rint(box_B4)).max() < 1e-9  # whole pixels: no general warp
    assert (box_B4[:, :2] >= 0).all()
    assert (box_B4[:, 2:] <= SOURCE[::-1]).all()


@pytest.mark.parametrize("classes", [np.zeros(SOURCE, np.uint8), np.full(SOURCE, IGNORE, np.uint8)])
def test_images_of_one_class_or_none_keep_their_crop(classes):
    plain, both = (
        drawn(RandomResizedCrop(), classes=classes),
        drawn(RandomResizedCrop(), RareClassCrop(prob=1.0), classes=classes),
    )
    assert not both.changed_since(plain).any()


def test_samples_without_masks_keep_their_crop(draw):
    assert not draw(RareClassCrop(prob=1.0), B=9).changed_since(ImageView.whole([(96, 128)] * 9, (96, 128))).any()


def test_a_sample_gets_the_same_crop_in_any_batch():
    method, classes = RareClassCrop(prob=0.5), image()
    few = replace(ImageView.whole([SOURCE] * 3, SIZE), class_maps=(lambda: classes,) * 3)
    part = method.draw(few, Rng(0).batch(method.name, 0, np.array([5, 900, 17])))
    assert (part.warp_B33 == drawn(method).warp_B33[[5, 900, 17]]).all()


def test_the_mask_follows_the_crop():
    view = drawn(RareClassCrop(prob=1.0), count=20)
    assert sum((warped_mask(view, i, image(), IGNORE) == 2).any() for i in range(20)) >= 19


def test_the_loader_gives_classes_of_pixels_and_of_objects():
    class Missing:
        def read(self):
            raise DataError("gone")

    ids = np.array([[0, 1, 2], [IGNORE_ID, 2, 1]], np.uint16)
    maps = [IdMap(ids, np.array([3, 7])), image()]
    beside = MasksBeside(MaskStore(maps, lambda one: one), as_shown=True)
    assert beside.classes(0).tolist() == [[0, 3, 7], [IGNORE, 7, 3]]
    assert beside.classes(3) is maps[1]  # a row that an epoch shows again
    missing = MaskStore([Masks((2, 3), class_file=Missing())], Masks.class_map)
    assert (MasksBeside(missing, as_shown=True).classes(0) == IGNORE).all()  # the sample is named when it is rendered
