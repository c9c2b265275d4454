import cv2
import numpy as np
import pytest
from scipy import ndimage, stats

from whet.core.view import Filter
from whet.methods import GaussianBlur


@pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0])
def test_parity_with_scipy(render, one, photo, sigma):
    out = render(one(photo).filtered(Filter("gaussian", np.array([sigma]))), photo)
    reference = ndimage.gaussian_filter(photo.astype(float), (sigma, sigma, 0), mode="mirror")
    assert np.abs(out - reference).max() <= 2.5
    assert np.abs(out - reference).mean() <= 0.5


def test_parity_with_opencv(render, one, photo):
    out = render(one(photo).filtered(Filter("gaussian", np.array([1.5]))), photo)
    assert (out == cv2.GaussianBlur(photo, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101)).all()


def test_share_and_widths(draw):
    sigma = draw(GaussianBlur(prob=0.4, max_sigma=0.011), size=(200, 200)).filters[0].strength_B
    assert (sigma > 0).mean() == pytest.approx(0.4, abs=0.03)
    assert stats.kstest(sigma[sigma > 0], stats.uniform(0.2, 2.0).cdf).pvalue > 0.001
