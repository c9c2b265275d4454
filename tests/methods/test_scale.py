import numpy as np
from PIL import Image
from scipy import stats

from whet.methods import Scale
from whet.methods.augment_image.scale import scaled


def test_parity_with_pillow_s_affine_map(render, one, photo):
    out = render(scaled(one(photo), np.array([1.4])), photo)
    k = 1 / 1.4
    matrix = (k, 0, 64 * (1 - k), 0, k, 48 * (1 - k))
    reference = np.asarray(
        Image.fromarray(photo).transform((128, 96), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    )
    assert np.abs(out.astype(int) - reference).mean() < 1


def test_factors_are_log_uniform(draw):
    factor = 1 / draw(Scale(max_factor=1.5)).warp_B33[:, 0, 0]
    assert stats.kstest(np.log(factor), stats.uniform(-np.log(1.5), 2 * np.log(1.5)).cdf).pvalue > 0.001
