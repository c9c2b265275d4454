import numpy as np
import pytest
from scipy import stats

from whet.core.view import Noise
from whet.methods import SaltPepper


def test_shares_of_black_and_white(render, one):
    pixels = np.full((300, 300, 3), 128, dtype=np.uint8)
    out = render(one(pixels).noised(Noise("salt_pepper", np.array([0.1]), np.array([9]))), pixels)
    assert (out == 0).all(axis=2).mean() == pytest.approx(0.05, abs=0.005)
    assert (out == 255).all(axis=2).mean() == pytest.approx(0.05, abs=0.005)
    assert np.isin(out, (0, 128, 255)).all()


def test_shares_are_uniform(draw):
    strength = draw(SaltPepper(max_share=0.05)).noises[0].strength_B
    assert stats.kstest(strength, stats.uniform(0, 0.05).cdf).pvalue > 0.001
