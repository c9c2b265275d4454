import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.models.test_token_vectors import text_net

from whet.core.batch import Batch, Outcome
from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.core.tokens import SpecialIds
from whet.methods import MaskedLanguageModel
from whet.methods.pretrain.masked_language_model import mask_tokens
from whet.models.front import TextFront
from whet.models.net import FEATURES, FeatureHead, Net, NetSpec
from whet.models.tokens import Tokens
from whet.models.zoo_text import TEXT_ZOO
from whet.tasks import PRETRAINING

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
# Each word stands always between the same neighbours: alone it may be any of the eight, with its neighbours it is known.
TEXTS = [" ".join(WORDS[k:]) for k in range(4)] * 8


def prepared(method):
    """(the network with the method, its loss, all texts as a batch)."""
    tokens = Tokens.train(TEXTS)
    with Rng(0).torch_scope("init"):
        backbone, features = TEXT_ZOO["text_transformer"](tokens.words, tokens.pad_id)
        spec = NetSpec("zoo", "text_transformer", ("a",), medium="text", task="pretraining", head=FEATURES)
        net = method.change(Net(spec, backbone, FeatureHead(features), TextFront(tokens)), None)
    ids_BL = net.front.receive(TEXTS, 16)
    batch = Batch(ids_BL, PRETRAINING.collate([0] * len(TEXTS), 1, None), range(len(TEXTS)), torch.ones(len(TEXTS)))
    loss = method.wrap_loss(lambda outcome: torch.zeros(len(outcome.batch)), net, None)
    return net, lambda: loss(Outcome(batch.x, batch, net)), batch


def test_guesses_from_context_far_better_than_from_how_frequent_words_are():
    words = " ".join(TEXTS).split()
    shares = [words.count(word) / len(words) for word in set(words)]
    entropy = -sum(share * math.log(share) for share in shares)
    net, loss, _ = prepared(MaskedLanguageModel())
    optimizer, losses = torch.optim.AdamW(net.parameters(), lr=2e-3), []
    with Rng(0).torch_scope("step"):
        for _ in range(60):
            optimizer.zero_grad()
            found = loss().mean()
            found.backward()
            optimizer.step()
            losses.append(found.item())
    assert sum(losses[-5:]) / 5 < 0.5 * entropy < entropy < 2.1


def test_the_mean_over_texts_is_that_over_the_chosen_tokens():
    method = MaskedLanguageModel(fraction=0.3)
    net, loss, batch = prepared(method)
    net.eval()
    with Rng(1).torch_scope("step"), torch.no_grad():
        found_B = loss()
    with Rng(1).torch_scope("step"), torch.no_grad():
        masked, chosen = mask_tokens(batch.x, net.front.tokens.special, len(net.front.tokens), 0.3)
        states, _ = net.backbone.states(masked)
        expected = F.cross_entropy(net.pretext.predictor(states[chosen]), batch.x[chosen])
    assert found_B.mean().item() == pytest.approx(expected.item(), rel=1e-5)
    assert (found_B[~chosen.any(dim=1)] == 0).all() and (found_B[chosen.any(dim=1)] > 0).all()


def test_eight_of_ten_are_hidden_one_replaced_one_left():
    pad, unknown, mask, end = range(4)
    ids = torch.full((200, 100), 9)
    ids[:, 80:] = pad
    ids[:, 79] = end
    with Rng(0).torch_scope("masks"):
        asked, chosen = mask_tokens(ids, SpecialIds(pad, unknown, mask, frozenset({end})), 1000, 0.15)
    assert not chosen[:, 79:].any() and torch.equal(asked[~chosen], ids[~chosen])
    found = asked[chosen]
    assert chosen[:, :79].float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (found == mask).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (found == 9).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert not ((found == pad) | (found == end)).any()


def test_a_bag_of_words_has_nothing_to_guess_with():
    net = text_net("fast_text")
    net.spec = replace(net.spec, task="pretraining")
    with pytest.raises(RecipeError, match="text_transformer"):
        MaskedLanguageModel().change(net, None)
