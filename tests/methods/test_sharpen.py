import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import stats

from whet.methods import Sharpen
from whet.methods.augment_image.sharpen import sharpened


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.9])
def test_parity_with_pillow(render, one, photo, factor):
    reference = np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(factor))
    out = render(sharpened(one(photo), np.array([factor - 1])), photo)
    assert np.abs(out.astype(int) - reference).max() <= 2


def test_strengths_are_uniform(draw):
    strength = draw(Sharpen(max_change=0.7)).filters[0].strength_B
    assert stats.kstest(strength, stats.uniform(-0.7, 1.4).cdf).pvalue > 0.001
