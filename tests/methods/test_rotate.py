import numpy as np
from PIL import Image
from scipy import stats

from whet.methods import Rotate
from whet.methods.augment_image.rotate import rotated


def test_parity_with_pillow_inside_the_image(render, one, photo):
    out = render(rotated(one(photo), np.array([17.0])), photo)
    reference = np.asarray(Image.fromarray(photo).rotate(17, Image.Resampling.BILINEAR))
    inside = (
        np.asarray(Image.fromarray(np.full(photo.shape[:2], 255, np.uint8)).rotate(17, Image.Resampling.BILINEAR))
        == 255
    )
    assert np.abs(out.astype(int) - reference)[inside].mean() < 1.0
    assert inside.mean() > 0.6


def test_angles_are_uniform(draw):
    matrix = draw(Rotate(max_degrees=30)).warp_B33
    degrees = np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    assert stats.kstest(degrees, stats.uniform(-30, 60).cdf).pvalue > 0.001
