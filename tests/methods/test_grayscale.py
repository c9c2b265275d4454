import numpy as np
import pytest
from PIL import Image

from whet.methods import Grayscale


def test_parity_with_pillow(draw, render, photo):
    out = render(draw(Grayscale(prob=1.0), B=1), photo)
    reference = np.asarray(Image.fromarray(photo).convert("L"))
    assert np.abs(out.astype(int) - reference[..., None]).max() <= 1


def test_share(draw):
    grey = np.isclose(draw(Grayscale(prob=0.2)).colour_B37[:, 0, 1], 0.587)
    assert grey.mean() == pytest.approx(0.2, abs=0.03)
