import io

import numpy as np
import pytest
from PIL import Image

from whet.core.view import Codec
from whet.methods import Jpeg


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_parity_with_pillow(render, one, photo, quality):
    out = render(one(photo).coded(Codec("jpeg", np.array([quality]))), photo)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "jpeg", quality=quality, subsampling=2)
    assert np.abs(out.astype(int) - np.asarray(Image.open(buffer))).max() <= 2


def test_share_and_qualities(draw):
    quality = draw(Jpeg(prob=0.4, min_quality=30), B=6000).codecs[0].setting_B
    assert (quality > 0).mean() == pytest.approx(0.4, abs=0.03)
    chosen = quality[quality > 0]
    assert (chosen.min(), chosen.max()) == (30, 95)
    assert chosen.mean() == pytest.approx(62.5, abs=1)
