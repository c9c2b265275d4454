"""Texts changed where the vectors of their tokens pass: mixed with a partner, each as if it were padded with nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whet.core.batch import Batch, HiddenMix
from whet.core.rng import Rng
from whet.methods import ManifoldMixup, MixUp
from whet.methods.mix.mean import mean_with_partners
from whet.models.front import TextFront
from whet.models.net import Net, NetSpec, new_head
from whet.models.token_vectors import token_vectors
from whet.models.tokens import Tokens
from whet.models.zoo_text import TEXT_ZOO
from whet.tasks import SINGLE_LABEL

TEXTS = ["one two three four five six", "seven eight", "nine", "two two seven nine"]


def text_net(name="fast_text"):
    tokens = Tokens.train(TEXTS)
    with Rng(0).torch_scope("init"):
        backbone, features = TEXT_ZOO[name](tokens.words, tokens.pad_id)
        net = Net(NetSpec("zoo", name, ("a", "b"), medium="text"), backbone, new_head(features, 2), TextFront(tokens))
    return net.eval()


def mixed_features(net, ids_BL, partner, weight, depth=0.0):
    change = mean_with_partners(torch.tensor(partner), torch.tensor(weight))
    with torch.no_grad(), net.hidden_mix([HiddenMix(depth, change)]):
        return net.backbone(ids_BL)


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_a_text_mixed_with_itself_or_with_all_the_weight_stays(name):
    net = text_net(name)
    ids_BL = net.prepare(TEXTS, 64)
    with torch.no_grad():
        plain = net.backbone(ids_BL)
    assert torch.allclose(mixed_features(net, ids_BL, [0, 1, 2, 3], [0.7] * 4), plain, atol=1e-5)
    assert torch.allclose(mixed_features(net, ids_BL, [1, 2, 3, 0], [1.0] * 4), plain, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(net.backbone(ids_BL), plain)  # nothing is left behind


# What tf_idf makes of a word depends on the rest of its text.
@pytest.mark.parametrize("name", sorted(set(TEXT_ZOO) - {"tf_idf"}))
def test_mixing_is_symmetric_so_the_mask_is_that_of_both(name):
    """0.3 of a short text with 0.7 of a long one is 0.7 of the long one with 0.3 of the short one."""
    net = text_net(name)
    ids_BL = net.prepare(TEXTS[:2], 64)
    long, short = mixed_features(net, ids_BL, [1, 0], [0.7, 0.3])
    assert torch.allclose(long, short, atol=1e-5)
    padded = mixed_features(net, F.pad(ids_BL, (0, 8), value=net.front.tokens.pad_id), [1, 0], [0.7, 0.3])
    assert torch.allclose(padded[0], long, atol=1e-5)


def test_a_bag_of_words_is_mixed_by_the_paper_s_formula():
    """A text of one word has no pair of words: its features are its vector, and the mean's the mean of both."""
    net = text_net()
    ids_BL = net.prepare(["nine", "one"], 64)
    first, second = net.backbone(ids_BL).detach()
    found = mixed_features(net, ids_BL, [1, 0], [0.6, 0.9])
    assert torch.allclose(found, torch.stack([0.6 * first + 0.4 * second, 0.9 * second + 0.1 * first]), atol=1e-6)


def test_at_full_depth_the_features_are_mixed():
    net = text_net("text_cnn")
    ids_BL = net.prepare(TEXTS, 64)
    with torch.no_grad():
        plain = net.backbone(ids_BL)
    found = mixed_features(net, ids_BL, [1, 2, 3, 0], [0.6] * 4, depth=1.0)
    assert torch.allclose(found, 0.6 * plain + 0.4 * plain[[1, 2, 3, 0]], atol=1e-6)


@pytest.mark.parametrize("method", [MixUp(alpha=1.0), ManifoldMixup(alpha=1.0)], ids=lambda method: method.name)
def test_the_methods_leave_the_tokens_and_mix_targets_as_the_network_mixes(method):
    net = text_net()
    batch = Batch(net.prepare(TEXTS, 64), SINGLE_LABEL.targets(torch.arange(4), 4), np.arange(4), torch.ones(4))
    mixed = method.apply(batch, Rng(1).batch(method.name, 0, batch.index_B))
    (inside,) = mixed.hidden_mix
    assert torch.equal(mixed.x, batch.x)
    assert torch.allclose(inside.change(torch.eye(4)), mixed.targets.probs_BK, atol=1e-6)
    assert (mixed.targets.probs_BK.max(dim=1).values < 1).any()
    assert token_vectors(net) is not None
