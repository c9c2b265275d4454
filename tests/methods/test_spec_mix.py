import numpy as np
import pytest
import torch

from whet.core.batch import Batch
from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.methods import SpecMix
from whet.tasks import SINGLE_LABEL


def clips(spectrograms, B=64, frames=40, mels=30):
    return Batch(spectrograms(B, frames, mels), SINGLE_LABEL.targets(torch.arange(B), B), np.arange(B), torch.ones(B))


def mixed(given, **settings):
    return SpecMix(**settings).apply(given, Rng(0).batch("spec_mix", 0, given.index_B))


def test_the_target_shares_by_the_cells_that_were_pasted(spectrograms):
    given = clips(spectrograms)
    found = mixed(given, prob=1.0)
    kept_B = (found.x == given.x).flatten(1).float().mean(dim=1)
    own_B = found.targets.probs_BK[torch.arange(64), torch.arange(64)]
    moved = own_B < 1  # who is not its own partner
    assert moved.sum() > 50
    assert torch.allclose(own_B[moved], kept_B[moved], atol=1e-6)
    assert torch.allclose(found.targets.probs_BK.sum(dim=1), torch.ones(64))


def test_what_is_pasted_is_whole_bands_and_whole_moments(spectrograms):
    """Of the partner's own cells, 1 … 3 bands of a tenth of the mel bands and as many of a tenth of the frames."""
    given = clips(spectrograms)
    found = mixed(given, prob=1.0, bands=3, width=0.1)
    partner_B = found.targets.probs_BK.clone().fill_diagonal_(0).argmax(dim=1)
    changed_BLM = (found.x != given.x)[:, 0]
    assert torch.equal(found.x[:, 0][changed_BLM], given.x[partner_B][:, 0][changed_BLM])
    for changed_LM in changed_BLM[changed_BLM.flatten(1).any(dim=1)]:
        moments, bands = changed_LM.all(dim=1), changed_LM.all(dim=0)
        assert torch.equal(changed_LM, moments[:, None] | bands[None, :])
        assert 4 <= moments.sum() <= 12 and 3 <= bands.sum() <= 9


def test_a_share_of_the_samples_is_mixed(spectrograms):
    given = clips(spectrograms, B=400)
    own = mixed(given, prob=0.3).targets.probs_BK.diagonal()
    assert float((own < 1).float().mean()) == pytest.approx(0.3, abs=0.06)
    assert torch.equal(mixed(given, prob=0.0).x, given.x)


def test_waves_are_refused():
    given = Batch(torch.zeros(4, 100), SINGLE_LABEL.targets(torch.arange(4), 4), np.arange(4), torch.ones(4))
    with pytest.raises(RecipeError, match="takes waveforms"):
        mixed(given)
