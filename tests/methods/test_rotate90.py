import numpy as np
import pytest

from whet.core.view import ImageView
from whet.methods import Rotate90
from whet.methods.augment_image.rotate90 import quarter_turned


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_squares_turn_exactly(render, one, photo, quarters):
    square = np.ascontiguousarray(photo[:96, :96])
    assert (render(quarter_turned(one(square), np.array([quarters])), square) == np.rot90(square, quarters)).all()


def test_a_frame_that_is_not_square_keeps_its_shape(render, photo):
    view = quarter_turned(ImageView.whole([(96, 128)], (60, 80)), np.array([1]))
    whole = render(ImageView.whole([(128, 96)], (60, 80)), np.ascontiguousarray(np.rot90(photo)))
    assert np.abs(render(view, photo).astype(float) - whole).mean() < 1


def test_quarters_are_equally_frequent(draw):
    warp = draw(Rotate90(prob=0.75), B=6000, size=(96, 96), source=(96, 96)).warp_B33
    quarters = np.rint(np.degrees(np.arctan2(warp[:, 1, 0], warp[:, 0, 0])) / 90).astype(int) % 4
    assert np.bincount(quarters) / 6000 == pytest.approx(0.25, abs=0.03)
