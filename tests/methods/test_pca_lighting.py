import numpy as np
import pytest

from whet.methods import PcaLighting
from whet.methods.augment_image.pca_lighting import _AXES, _SPREADS


def test_the_axes_are_a_basis():
    assert np.allclose(_AXES @ _AXES.T, np.eye(3), atol=2e-3)


def test_offsets_have_the_source_s_covariance(draw):
    offset = draw(PcaLighting(spread=0.1), B=40_000).colour_B37[:, :, 6] / 255
    expected = _AXES @ np.diag((0.1 * _SPREADS) ** 2) @ _AXES.T
    assert np.cov(offset.T) == pytest.approx(expected, rel=0.05, abs=1e-7)
    assert np.abs(offset.mean(axis=0)).max() < 5e-4


def test_every_pixel_moves_alike(draw, render, photo):
    out = render(draw(PcaLighting(spread=1.0), B=1), photo).astype(int)
    moved = (out - photo)[(out > 0).all(axis=2) & (out < 255).all(axis=2)]
    assert (moved == moved[0]).all()
