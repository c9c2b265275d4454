import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import stats

from whet.methods import Brightness
from whet.methods.augment_image.brightness import brightened


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.7])
def test_parity_with_pillow(render, one, photo, factor):
    reference = np.asarray(ImageEnhance.Brightness(Image.fromarray(photo)).enhance(factor))
    assert np.abs(render(brightened(one(photo), np.array([factor])), photo).astype(int) - reference).max() <= 1


def test_factors_are_uniform(draw):
    factor = draw(Brightness(max_change=0.4)).colour_B37[:, 0, 0]
    assert stats.kstest(factor, stats.uniform(0.6, 0.8).cdf).pvalue > 0.001
