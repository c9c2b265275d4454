import numpy as np
import pytest
from PIL import Image, ImageEnhance

from whet.methods import Saturation
from whet.methods.augment_image.saturation import saturated


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
def test_parity_with_pillow(render, one, photo, factor):
    reference = np.asarray(ImageEnhance.Color(Image.fromarray(photo)).enhance(factor))
    assert np.abs(render(saturated(one(photo), np.array([factor])), photo).astype(int) - reference).max() <= 2


def test_grey_stays_grey(draw, render):
    grey = np.repeat((np.arange(96 * 128) % 256).astype(np.uint8).reshape(96, 128, 1), 3, axis=2)
    assert np.abs(render(draw(Saturation(max_change=0.9), B=1), grey).astype(int) - grey).max() <= 1
