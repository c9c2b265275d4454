import cv2
import numpy as np
from scipy import stats

from whet.methods import CenterZoom


def test_it_is_the_middle_enlarged(draw, render, photo):
    view = draw(CenterZoom(max_zoom=2.0), B=1)
    part = view.warp_B33[0, 0, 0]
    centre = cv2.getRectSubPix(photo, (round(128 * part), round(96 * part)), (63.5, 47.5))
    reference = cv2.resize(centre, (128, 96))
    assert np.abs(render(view, photo).astype(float) - reference).mean() < 6


def test_zooms_are_uniform_and_centred(draw):
    warp = draw(CenterZoom(max_zoom=1.5)).warp_B33
    assert stats.kstest(1 / warp[:, 0, 0], stats.uniform(1, 0.5).cdf).pvalue > 0.001
    centre = warp @ [64, 48, 1]
    assert np.allclose(centre, [64, 48, 1])
