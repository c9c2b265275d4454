import numpy as np

from whet.core.masks import IGNORE_ID, IdMap
from whet.core.view import ImageView
from whet.render.masks import warped_map


def test_an_object_that_is_moved_comes_once():
    """64 x 64, object at x 0-10, moved right by 16: it covers 16-26 only; what shows nothing of the image is unknown."""
    ids = np.zeros((64, 64), np.uint16)
    ids[:, :10] = 1
    view = ImageView.whole([(64, 64)], (64, 64), "squash")
    view.warp_B33[0, 0, 2] -= 16
    found = warped_map(view, 0, IdMap(ids, np.array([1])))
    assert isinstance(found, IdMap)
    assert np.flatnonzero((found.ids_HW == 1).any(axis=0)).tolist() == list(range(16, 26))
    assert (found.ids_HW[:, :16] == IGNORE_ID).all()
    assert found.class_of_id.tolist() == [1]
