import numpy as np
import pytest
from scipy import stats

from whet.methods import RandomErasing


def test_shares_areas_and_frames(draw):
    view = draw(RandomErasing(prob=0.4, max_area=0.3), B=6000, size=(200, 300))
    x0, y0, x1, y1 = view.covers[0].box_BN4[:, 0].T
    chosen = x1 > x0
    assert chosen.mean() == pytest.approx(0.4, abs=0.03)
    area = ((x1 - x0) * (y1 - y0))[chosen] / (200 * 300)
    fits = ((x1 - x0) < 300) & ((y1 - y0) < 200)
    assert stats.kstest(area[fits[chosen]], stats.uniform(0.02, 0.28).cdf).statistic < 0.05
    assert (x0 >= 0).all()
    assert (x1 <= 300).all()
    assert (y0 >= 0).all()
    assert (y1 <= 200).all()


def test_what_is_erased_is_noise_and_the_rest_is_untouched(draw, render, photo):
    view = draw(RandomErasing(prob=1.0), B=1)
    x0, y0, x1, y1 = view.covers[0].box_BN4[0, 0].astype(int)
    out = render(view, photo)
    hidden = np.zeros(photo.shape[:2], dtype=bool)
    hidden[y0:y1, x0:x1] = True
    assert (out[~hidden] == photo[~hidden]).all()
    assert (out[hidden] != photo[hidden]).mean() > 0.95
