import cv2
import numpy as np
import pytest

from whet.methods import RandomCrop


def test_it_is_a_padded_slice(draw, render, photo):
    view = draw(RandomCrop(padding=0.125), B=1, seed=3)
    x, y = view.warp_B33[0, :2, 2].astype(int)
    padded = cv2.copyMakeBorder(photo, 12, 12, 16, 16, cv2.BORDER_REFLECT_101)
    assert (render(view, photo) == padded[12 + y : 12 + y + 96, 16 + x : 16 + x + 128]).all()


def test_shifts_are_whole_and_equally_frequent(draw):
    shift = draw(RandomCrop(padding=0.125), B=8000).warp_B33[:, :2, 2]
    assert (shift == np.rint(shift)).all()
    for axis, reach in ((0, 16), (1, 12)):
        values, counts = np.unique(shift[:, axis], return_counts=True)
        assert values.tolist() == list(range(-reach, reach + 1))
        assert counts / 8000 == pytest.approx(1 / (2 * reach + 1), abs=0.012)
