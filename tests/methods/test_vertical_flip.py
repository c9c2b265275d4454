import numpy as np
import pytest

from whet.methods import VerticalFlip


def test_flipped_is_upside_down_exactly(draw, render, photo):
    assert (render(draw(VerticalFlip(prob=1.0), B=1), photo) == photo[::-1]).all()


def test_share(draw):
    flipped = draw(VerticalFlip(prob=0.3)).warp_B33[:, 1, 1] < 0
    assert flipped.mean() == pytest.approx(0.3, abs=0.03)
    assert (draw(VerticalFlip(prob=0.3)).warp_B33[:, 0, 0] == 1).all()
    assert np.isfinite(flipped).all()
