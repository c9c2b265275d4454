import numpy as np
import pytest

from whet.methods import ChannelShuffle


def test_channels_are_swapped_and_nothing_else(draw, render, photo):
    orders = set()
    for seed in range(40):
        out = render(draw(ChannelShuffle(prob=1.0), B=1, seed=seed), photo)
        orders.add(tuple(next(k for k in range(3) if (out[..., c] == photo[..., k]).all()) for c in range(3)))
    assert len(orders) == 5  # every order but the one it has
    assert (0, 1, 2) not in orders


def test_share(draw):
    changed = (draw(ChannelShuffle(prob=0.3)).colour_B37[:, :, :3] != np.eye(3)).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.3, abs=0.03)
