import numpy as np
import pytest
import torch

from whet.core.batch import Batch
from whet.core.rng import Rng
from whet.methods import BetweenClass
from whet.methods.mix.between_class import a_weighting, other_class, wave_amplitude, weights
from whet.models.front import AudioFront, WaveFront
from whet.models.mel import YAMNET_MEL, MelSettings
from whet.tasks import SINGLE_LABEL

RATE = 16_000


def noise(B, samples=RATE, seed=0):
    return torch.from_numpy(Rng(seed).batch("noise", 0, np.arange(B)).normal((samples,))).float()


def batch_of(x, labels):
    labels = torch.as_tensor(labels)
    return Batch(x, SINGLE_LABEL.targets(labels, int(labels.max()) + 1), np.arange(len(x)), torch.ones(len(x)))


def mixed(given, front=None, seed=0):
    method = BetweenClass()
    return (method.with_scale(front) if front else method).apply(
        given, Rng(seed).batch("between_class", 0, given.index_B)
    )


def test_the_factors_are_those_of_the_paper():
    """p = 1 / (1 + 10^((G1 - G2) / 20) (1 - r) / r), both over sqrt(p^2 + (1 - p)^2)."""
    gain, r = torch.tensor([0.5, 0.02, 3.0], dtype=torch.float64), torch.tensor([0.3, 0.9, 0.5], dtype=torch.float64)
    partner = torch.tensor([1, 2, 0])
    own, other = weights(gain, partner, r, 1)
    decibel = 20 * gain.log10()
    p = 1 / (1 + 10 ** ((decibel - decibel[partner]) / 20) * (1 - r) / r)
    length = (p**2 + (1 - p) ** 2).sqrt()
    assert torch.allclose(own, p / length) and torch.allclose(other, (1 - p) / length)


def test_the_a_curve_is_that_of_the_standard():
    """IEC 61672: 31.5 Hz -39.4 dB, 100 Hz -19.1, 1 kHz 0, 2.5 kHz 1.3, 10 kHz -2.5; the first and the fourth are 10^1.5, 10^3.4."""
    decibel = 10 * np.log10(a_weighting(10 ** np.array([1.5, 2, 3, 3.4, 4])))
    assert decibel == pytest.approx([-39.4, -19.1, 0.0, 1.3, -2.5], abs=0.1)


def test_waves_are_heard_in_the_ratio_of_their_targets_however_loud_they_were():
    loud = noise(16) * torch.logspace(-2, 1, 16)[:, None]
    given, front = batch_of(loud, np.arange(16)), WaveFront(RATE, level=False, least=1)
    found = mixed(given, front)
    own_B = found.targets.probs_BK.diagonal()
    gain_B = wave_amplitude(loud, RATE)
    partner_B = found.targets.probs_BK.clone().fill_diagonal_(0).argmax(dim=1)
    for i, j in enumerate(partner_B.tolist()):
        a, b = torch.linalg.lstsq(torch.stack([loud[i], loud[j]], dim=1), found.x[i][:, None]).solution[:, 0]
        assert float(a * gain_B[i] / (a * gain_B[i] + b * gain_B[j])) == pytest.approx(float(own_B[i]), abs=1e-3)
        assert float(a**2 + b**2) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("settings", [MelSettings(), YAMNET_MEL], ids=["energies", "magnitudes"])
def test_spectrograms_mix_as_their_waves_would(settings):
    """On average over the cells of independent noises, whatever the spectrograms are normalised by."""
    waves = noise(8, 2 * RATE) * torch.logspace(-1, 0, 8)[:, None]
    front = AudioFront(settings, mean=-3.0, std=2.0)
    given = batch_of(front(front.receive(waves.numpy())), np.arange(8))
    found = mixed(given, front)
    own_B = found.targets.probs_BK.diagonal()
    partner_B = found.targets.probs_BK.clone().fill_diagonal_(0).argmax(dim=1)
    own, other = weights(wave_amplitude(waves, RATE), partner_B, own_B, 2)
    summed = front(front.receive((own * waves + other * waves[partner_B]).numpy()))
    energy = [front.scale().energy(x).mean(dim=(1, 2, 3)) for x in (found.x, summed)]
    assert torch.allclose(energy[0], energy[1], rtol=0.15)


def test_images_keep_their_level_and_share_by_contrast():
    """(p (a - mean a) + (1 - p) (b - mean b)) / sqrt(p^2 + (1 - p)^2), about the mean of the two means."""
    x = noise(6, 3 * 8 * 8).view(6, 3, 8, 8) * torch.logspace(-1, 1, 6).view(6, 1, 1, 1) + torch.arange(6.0).view(
        6, 1, 1, 1
    )
    found = mixed(batch_of(x, np.arange(6)))
    r = found.targets.probs_BK.diagonal()
    partner = found.targets.probs_BK.clone().fill_diagonal_(0).argmax(dim=1)
    mean, deviation = x.mean(dim=(1, 2, 3)), x.std(dim=(1, 2, 3), correction=0)
    p = 1 / (1 + deviation / deviation[partner] * (1 - r) / r)
    for i, j in enumerate(partner.tolist()):
        length = (p[i] ** 2 + (1 - p[i]) ** 2).sqrt()
        expected = (
            (p[i] * (x[i] - mean[i]) + (1 - p[i]) * (x[j] - mean[j])) / length + r[i] * mean[i] + (1 - r[i]) * mean[j]
        )
        assert torch.allclose(found.x[i], expected, atol=1e-5)


def test_partners_are_of_another_class_and_every_other_class_is_met():
    label = np.repeat([0, 1, 2], [5, 4, 3])
    probs = torch.eye(3)[torch.from_numpy(label)]
    met = set()
    for seed in range(40):
        partner = other_class(probs, Rng(seed).batch("between_class", 0, np.arange(12)))
        assert sorted(partner) == list(range(12))
        assert (label[partner] != label).all()
        met |= set(zip(label.tolist(), label[partner].tolist()))
    assert met == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_the_share_is_uniform():
    given = batch_of(torch.randn(2000, 3, 2, 2, generator=torch.Generator().manual_seed(0)), np.arange(2000) % 2)
    own = mixed(given).targets.probs_BK[torch.arange(2000), torch.arange(2000) % 2].sort().values
    assert torch.allclose(own, torch.linspace(0, 1, 2000), atol=0.05)
