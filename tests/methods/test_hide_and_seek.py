import numpy as np
import pytest

from whet.methods import HideAndSeek


def test_cells_tile_the_image(draw):
    box = draw(HideAndSeek(prob=1.0, hidden=0.999, cells=4), B=1, size=(50, 70)).covers[0].box_BN4[0]
    seen = np.zeros((50, 70), dtype=int)
    for x0, y0, x1, y1 in box.astype(int):
        seen[y0:y1, x0:x1] += 1
    assert (seen == 1).all()


def test_chance_of_a_cell_and_share_of_images(draw):
    box = draw(HideAndSeek(prob=0.5, hidden=0.3, cells=4)).covers[0].box_BN4
    hidden = box[:, :, 2] > box[:, :, 0]
    acted = hidden.any(axis=1)
    assert acted.mean() == pytest.approx(0.5, abs=0.03)
    assert hidden[acted].mean() == pytest.approx(0.3, abs=0.02)
    assert np.abs(np.corrcoef(hidden[acted].T) - np.eye(16)).max() < 0.1  # each cell for itself


def test_hidden_cells_take_the_mean_colour_of_the_whole(draw, render, photo):
    view = draw(HideAndSeek(prob=1.0, hidden=0.5), B=1)
    out = render(view, photo)
    x0, y0, x1, y1 = next(b for b in view.covers[0].box_BN4[0].astype(int) if b[2] > b[0])
    assert np.abs(out[y0:y1, x0:x1] - photo.mean(axis=(0, 1))).max() <= 1
