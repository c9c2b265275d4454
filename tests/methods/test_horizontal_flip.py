import numpy as np

from whet.methods import HorizontalFlip


def test_a_flip_is_the_mirrored_image(draw, render, photo):
    assert (render(draw(HorizontalFlip(prob=1.0), B=1), photo) == photo[:, ::-1]).all()


def test_half_of_them(draw):
    flipped = draw(HorizontalFlip()).warp_B33[:, 0, 0] < 0
    assert abs(flipped.mean() - 0.5) < 0.03


def test_never_at_zero(draw):
    view = draw(HorizontalFlip(prob=0.0), B=100)
    assert (view.warp_B33 == np.eye(3)).all()
