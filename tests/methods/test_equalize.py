import numpy as np
import pytest
from PIL import Image, ImageOps

from whet.methods import Equalize
from whet.methods.augment_image.brightness import brightened
from whet.methods.augment_image.equalize import equalized


def test_parity_with_pillow(render, one, photo):
    reference = np.asarray(ImageOps.equalize(Image.fromarray(photo)))
    assert (render(equalized(one(photo), np.array([True])), photo) == reference).all()


def test_the_histogram_is_that_of_the_image_as_it_is_by_then(render, one, photo):
    """Behind a colour it equalises the coloured image, not the original."""
    dark = np.asarray(Image.fromarray(np.rint(photo * 0.5).astype(np.uint8)))
    out = render(equalized(brightened(one(photo), np.array([0.5])), np.array([True])), photo)
    reference = np.asarray(ImageOps.equalize(Image.fromarray(dark)))
    assert np.abs(out.astype(int) - reference).mean() < 2


def test_a_flat_image_stays(render, one):
    flat = np.full((20, 20, 3), 99, dtype=np.uint8)
    assert (render(equalized(one(flat), np.array([True])), flat) == flat).all()


def test_share_of_images(draw):
    assert draw(Equalize(prob=0.3)).tones[0].where_B.mean() == pytest.approx(0.3, abs=0.03)
