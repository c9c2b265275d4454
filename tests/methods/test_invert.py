import numpy as np
import pytest
from PIL import Image, ImageOps

from whet.methods import Invert


def test_parity_with_pillow(draw, render, photo):
    assert (render(draw(Invert(prob=1.0), B=1), photo) == np.asarray(ImageOps.invert(Image.fromarray(photo)))).all()


def test_share(draw):
    assert draw(Invert(prob=0.1)).tones[0].where_B.mean() == pytest.approx(0.1, abs=0.02)
