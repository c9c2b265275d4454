import numpy as np
import pytest
from scipy import stats

from whet.core.view import Noise
from whet.methods import ShotNoise


@pytest.mark.parametrize("level", [20, 80, 200])
def test_variance_grows_with_brightness_as_poisson_s(render, one, level):
    """A white pixel of P photons: level x holds x P / 255 of them, whose standard deviation is sqrt(x 255 / P) levels."""
    pixels = np.full((200, 200, 3), level, dtype=np.uint8)
    out = render(one(pixels).noised(Noise("shot", np.array([255 / 400]), np.array([5]))), pixels).astype(float)
    assert out.mean() == pytest.approx(level, abs=0.3)
    assert out.std() == pytest.approx(np.sqrt(level * 255 / 400), rel=0.03)


def test_share_and_photons(draw):
    strength = draw(ShotNoise(prob=0.5, min_photons=10)).noises[0].strength_B
    assert (strength > 0).mean() == pytest.approx(0.5, abs=0.03)
    photons = 255 / strength[strength > 0]
    assert stats.kstest(np.log10(photons), stats.uniform(1, 2).cdf).pvalue > 0.001
