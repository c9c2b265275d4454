import numpy as np
import pytest
from scipy import stats

from whet.methods import Gamma
from whet.methods.augment_image.gamma import gamma_bent


@pytest.mark.parametrize("exponent", [0.5, 2.2])
def test_the_formula(render, one, photo, exponent):
    expected = np.rint(255 * (photo / 255) ** exponent)
    assert (render(gamma_bent(one(photo), np.array([exponent])), photo) == expected).all()


def test_black_and_white_stay(draw):
    table = draw(Gamma(max_factor=3.0), B=50).tones[0].table_BC256
    assert (table[:, :, 0] == 0).all()
    assert (table[:, :, 255] == 255).all()


def test_exponents_are_log_uniform(draw):
    table = draw(Gamma(max_factor=2.0)).tones[0].table_BC256[:, 0, 128]
    exponent = np.log(table / 255) / np.log(128 / 255)
    assert stats.kstest(np.log2(exponent), stats.uniform(-1, 2).cdf).pvalue > 0.001
