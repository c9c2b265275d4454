import numpy as np
import pytest
from PIL import Image, ImageEnhance

from whet.methods import Contrast
from whet.methods.augment_image.contrast import contrasted


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
def test_parity_with_pillow(render, one, photo, factor):
    """Pillow rounds the mean grey to a whole number, hence the second unit of tolerance."""
    reference = np.asarray(ImageEnhance.Contrast(Image.fromarray(photo)).enhance(factor))
    assert np.abs(render(contrasted(one(photo), np.array([factor])), photo).astype(int) - reference).max() <= 2


def test_the_mean_grey_stays(draw, render, photo):
    view = draw(Contrast(max_change=0.3), B=1)
    grey = [0.299, 0.587, 0.114]
    assert (render(view, photo) @ grey).mean() == pytest.approx((photo @ grey).mean(), abs=2.0)
