import numpy as np
import pytest

from whet.methods import GridMask


def covered(view, i):
    mask = np.zeros(view.size, dtype=bool)
    for x0, y0, x1, y1 in view.covers[0].box_BN4[i].astype(int):
        mask[y0:y1, x0:x1] = True
    return mask


def test_share_of_the_image_covered(draw):
    """Of each cell's side `kept` stays: (1 - kept)^2 of the area is covered."""
    view = draw(GridMask(prob=1.0, kept=0.6, min_cells=3, max_cells=6), B=300, size=(120, 120))
    assert np.mean([covered(view, i).mean() for i in range(300)]) == pytest.approx(0.16, abs=0.01)


def test_the_grid_is_regular(draw):
    view = draw(GridMask(prob=1.0, kept=0.5, min_cells=4, max_cells=4), B=20, size=(120, 160))
    for i in range(20):
        mask = covered(view, i)
        assert (mask[:-30] == mask[30:]).mean() > 0.98
        assert (mask[:, :-30] == mask[:, 30:]).mean() > 0.98


def test_share_of_images(draw):
    box = draw(GridMask(prob=0.3), B=3000).covers[0].box_BN4
    assert (box[:, :, 2] > box[:, :, 0]).any(axis=1).mean() == pytest.approx(0.3, abs=0.03)
