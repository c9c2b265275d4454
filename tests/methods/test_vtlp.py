import numpy as np
import torch

from whet.core.rng import Rng
from whet.methods import Vtlp


def warped(x, **settings):
    method = Vtlp(**settings)
    rng = lambda: Rng(2).batch(method.name, 0, np.arange(len(x)))  # noqa: E731
    return method.transform_batch(x, rng()), rng().uniform(2 - method.max_factor, method.max_factor)


def test_a_line_moves_by_the_factor_below_the_knee():
    x = torch.zeros(50, 1, 3, 201)
    x[..., 80] = 1.0
    out, factor = warped(x, max_factor=1.2)
    place = (out[:, 0, 0] * torch.arange(201)).sum(dim=1) / out[:, 0, 0].sum(dim=1)
    assert np.abs(place.numpy() - 80 * factor).max() < 0.6


def test_the_ends_stay_and_the_order_of_bands_too():
    ramp = torch.linspace(0, 1, 64).expand(20, 1, 5, 64).contiguous()
    out, _ = warped(ramp, max_factor=1.3)
    assert torch.allclose(out[..., 0], torch.tensor(0.0), atol=1e-5)
    assert torch.allclose(out[..., -1], torch.tensor(1.0), atol=1e-5)
    assert (out.diff(dim=3) > 0).all()


def test_a_ramp_becomes_the_paper_s_curve():
    """Jaitly and Hinton's equation: f a up to the knee over a, then straight on to the end; here turned round."""
    ramp = torch.linspace(0, 1, 401, dtype=torch.float64).expand(10, 1, 1, 401).contiguous()
    out, factors = warped(ramp, max_factor=1.2, knee=0.7)
    for row, a in zip(out[:, 0, 0].numpy(), factors):
        bend = 0.7 * min(a, 1) / a  # of the source
        shown = np.where(row <= bend, row * a, 1 - (1 - 0.7 * min(a, 1)) / (1 - bend) * (1 - row))
        assert np.abs(shown - np.linspace(0, 1, 401)).max() < 1e-6


def test_a_factor_of_one_changes_nothing(spectrograms):
    x = spectrograms()
    assert Vtlp(max_factor=1.0).transform_batch(x, Rng(0).batch("vtlp", 0, np.arange(64))) is x
