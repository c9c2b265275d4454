import numpy as np
import pytest
from scipy import stats

from whet.core.view import ImageView, Noise
from whet.methods import GaussianNoise

GREY = np.full((200, 200, 3), 128, dtype=np.uint8)


def test_noise_is_normal_of_the_asked_size_in_every_channel(render, one):
    out = render(one(GREY).noised(Noise("gaussian", np.array([12.0]), np.array([77]))), GREY).astype(float) - 128
    assert out.mean() == pytest.approx(0, abs=0.2)
    assert out.std() == pytest.approx(12, rel=0.02)
    assert stats.kurtosis(out.ravel()) == pytest.approx(0, abs=0.1)
    assert np.abs(np.corrcoef(out.reshape(-1, 3).T) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(out[1:].ravel(), out[:-1].ravel())[0, 1]) < 0.02  # rows know nothing of each other


def test_samples_differ(render):
    view = ImageView.whole([(200, 200)] * 2, (200, 200)).noised(Noise("gaussian", np.full(2, 9.0), np.array([1, 2])))
    first = render(view, GREY)
    assert (first != 128).mean() > 0.9
    only = ImageView.whole([(200, 200)], (200, 200)).noised(Noise("gaussian", np.array([9.0]), np.array([2])))
    assert (render(only, GREY) != first).mean() > 0.8


def test_strengths_are_uniform(draw):
    strength = draw(GaussianNoise(max_std=0.1)).noises[0].strength_B
    assert stats.kstest(strength, stats.uniform(0, 25.5).cdf).pvalue > 0.001
