import numpy as np
import torch

from whet.core.batch import Batch
from whet.core.rng import Rng
from whet.methods import ManifoldMixup
from whet.tasks import SINGLE_LABEL


def test_a_linear_network_cannot_tell_where_it_was_mixed(net, batch):
    """Weighted means pass through linear layers as they are: mixing inside is mixing at the end."""
    made = net()
    for module in made.modules():
        if isinstance(module, torch.nn.ReLU):
            module.forward = lambda x: x
    made.eval()
    given = batch(B=6, K=3, size=(12, 12))
    mixed = ManifoldMixup(max_depth=0.0).apply(given, Rng(0).batch("manifold_mixup", 0, given.index_B))
    (inside,) = mixed.hidden_mix
    logits = made(given.x)
    with made.hidden_mix(mixed.hidden_mix):
        mixed_inside = made(mixed.x)
    assert torch.allclose(mixed_inside, inside.change(logits), atol=1e-5)
    assert not torch.allclose(mixed_inside, logits, atol=1e-3)


def test_targets_share_as_the_features_do(batch):
    given = batch(B=8, K=8)
    mixed = ManifoldMixup().apply(given, Rng(3).batch("manifold_mixup", 0, given.index_B))
    hidden = torch.eye(8)
    assert torch.allclose(mixed.hidden_mix[0].change(hidden), mixed.targets.probs_BK, atol=1e-6)
    assert torch.equal(mixed.x, given.x)


def test_outside_the_step_nothing_is_left_in_the_network(net):
    made = net().eval()
    x = torch.linspace(-1, 1, 2 * 3 * 64).view(2, 3, 8, 8)
    before = made(x)
    batch = Batch(x, SINGLE_LABEL.targets(torch.tensor([0, 1]), 3), np.arange(2), torch.ones(2))
    mixed = ManifoldMixup().apply(batch, Rng(1).batch("manifold_mixup", 0, batch.index_B))
    with made.hidden_mix(mixed.hidden_mix):
        made(x)
    assert torch.equal(made(x), before)
