import numpy as np
from scipy import stats

from whet.methods import Translate
from whet.methods.augment_image.translate import translated


def test_the_image_moves_right_and_down(render, one, photo):
    out = render(translated(one(photo), np.array([16 / 128]), np.array([12 / 96])), photo)
    assert (out[12:, 16:] == photo[:-12, :-16]).all()


def test_shifts_are_uniform_shares_of_the_side(draw):
    shift = -draw(Translate(max_fraction=0.2)).warp_B33[:, 0, 2] / 128
    assert stats.kstest(shift, stats.uniform(-0.2, 0.4).cdf).pvalue > 0.001
