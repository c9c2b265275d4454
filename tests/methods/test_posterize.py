import numpy as np
import pytest
from PIL import Image, ImageOps

from whet.methods import Posterize
from whet.methods.augment_image.posterize import posterized


@pytest.mark.parametrize("bits", range(1, 9))
def test_parity_with_pillow(render, one, photo, bits):
    reference = np.asarray(ImageOps.posterize(Image.fromarray(photo), bits))
    assert (render(posterized(one(photo), np.array([bits])), photo) == reference).all()


def test_all_numbers_of_bits_come_up_evenly(draw):
    tone = draw(Posterize(min_bits=5), B=4000).tones[0]
    levels = [len(np.unique(table[0])) for table in tone.table_BC256]
    assert [levels.count(2**bits) / 4000 for bits in range(5, 9)] == pytest.approx([0.25] * 4, abs=0.03)
