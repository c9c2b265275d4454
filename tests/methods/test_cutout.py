import numpy as np
import pytest

from whet.methods import Cutout


def test_squares_have_their_centre_anywhere(draw):
    x0, y0, x1, y1 = draw(Cutout(side=0.25), B=6000, size=(80, 80)).covers[0].box_BN4[:, 0].T
    whole = (x1 - x0 == 20) & (y1 - y0 == 20)
    # The square is whole where its centre is at least half a side from the border: 61 of 80 places along each axis.
    assert whole.mean() == pytest.approx((61 / 80) ** 2, abs=0.03)
    assert x0.min() == 0
    assert x1.max() == 80
    assert (x1 > x0).all()


def test_the_square_takes_the_mean_colour_and_the_rest_is_untouched(draw, render, photo):
    view = draw(Cutout(side=0.3), B=1)
    x0, y0, x1, y1 = view.covers[0].box_BN4[0, 0].astype(int)
    out = render(view, photo)
    hidden = np.zeros(photo.shape[:2], dtype=bool)
    hidden[y0:y1, x0:x1] = True
    assert (out[~hidden] == photo[~hidden]).all()
    assert np.abs(out[hidden] - photo.mean(axis=(0, 1))).max() <= 1
