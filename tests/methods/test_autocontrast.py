import numpy as np
import pytest
from PIL import Image, ImageOps

from whet.methods import AutoContrast
from whet.methods.augment_image.autocontrast import autocontrasted


def test_parity_with_pillow(render, one, photo):
    narrow = (photo // 4 + 60).astype(np.uint8)
    reference = np.asarray(ImageOps.autocontrast(Image.fromarray(narrow)))
    out = render(autocontrasted(one(narrow), np.array([True])), narrow)
    assert np.abs(out.astype(int) - reference).max() <= 1
    assert out.min() == 0
    assert out.max() == 255


def test_share_of_images(draw):
    assert draw(AutoContrast(prob=0.3)).tones[0].where_B.mean() == pytest.approx(0.3, abs=0.03)
