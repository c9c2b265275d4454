import numpy as np
import pytest
from PIL import Image, ImageOps

from whet.methods import Solarize
from whet.methods.augment_image.solarize import solarized


@pytest.mark.parametrize("threshold", [0, 64, 128, 256])
def test_parity_with_pillow(render, one, photo, threshold):
    reference = np.asarray(ImageOps.solarize(Image.fromarray(photo), threshold))
    assert (render(solarized(one(photo), np.array([float(threshold)])), photo) == reference).all()


def test_share_of_images(draw):
    assert draw(Solarize(prob=0.3)).tones[0].where_B.mean() == pytest.approx(0.3, abs=0.03)
