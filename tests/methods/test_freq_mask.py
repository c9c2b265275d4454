import numpy as np
import pytest
import torch

from whet.core.rng import Rng
from whet.methods import FreqMask


def hidden(method, x):
    out = method.transform_batch(x, Rng(0).batch(method.name, 0, np.arange(len(x))))
    return (out != x)[:, 0], out


def test_whole_stripes_hold_the_mean_and_the_rest_is_as_it_was(spectrograms):
    x = spectrograms()
    changed, out = hidden(FreqMask(masks=2, max_fraction=0.2), x)
    lines = changed.all(dim=1)  # along the other axis
    assert torch.equal(changed, lines[:, None].expand_as(changed))
    mean = x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)[:, 0]
    assert torch.equal(out[:, 0][changed], mean[changed])


def test_the_share_hidden_is_half_the_greatest_width_a_stripe(spectrograms):
    changed, _ = hidden(FreqMask(masks=1, max_fraction=0.3), spectrograms(B=3000, frames=100 if 3 == 2 else 10))
    assert changed.float().mean().item() == pytest.approx(0.15, abs=0.006)
    widths = changed.all(dim=1).sum(dim=1)
    assert widths.max().item() <= 0.3 * 64 + 0.5
    at = changed.all(dim=1).float().mean(dim=0)
    assert at[20:-20].std() < 0.03  # everywhere alike


def test_without_stripes_nothing_changes(spectrograms):
    x = spectrograms()
    assert FreqMask(masks=0).transform_batch(x, Rng(0).batch("m", 0, np.arange(64))) is x
