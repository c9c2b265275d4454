import cv2
import numpy as np
import pytest
from scipy import stats

from whet.core.view import Codec
from whet.methods import Downscale


def test_it_is_smaller_and_large_again(render, one, photo):
    out = render(one(photo).coded(Codec("downscale", np.array([4.0]))), photo)
    reference = cv2.resize(cv2.resize(photo, (32, 24), interpolation=cv2.INTER_AREA), (128, 96))
    assert (out == reference).all()


def test_share_and_factors(draw):
    factor = draw(Downscale(prob=0.5, max_factor=4.0)).codecs[0].setting_B
    assert (factor > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(np.log(factor[factor > 0]), stats.uniform(0, np.log(4)).cdf).pvalue > 0.001
