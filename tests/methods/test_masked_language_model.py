import math

import pytest
import torch
from tests.models.test_token_vectors import text_net
from torch.nn.utils import parametrize

from whet.core.batch import Context
from whet.core.errors import DataError, NoEffectError
from whet.core.rng import Rng
from whet.core.tokens import SpecialIds
from whet.methods import MaskedLanguageModel, Mixout
from whet.methods.semi.masked_language_model import mask_tokens
from whet.models.front import TextFront
from whet.models.net import Net, NetSpec, new_head
from whet.models.tokens import Tokens
from whet.models.zoo_text import TEXT_ZOO
from whet.tasks import SINGLE_LABEL

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
# Each word stands always between the same neighbours: alone it may be any of the eight, with its neighbours it is known.
TEXTS = [" ".join(WORDS[k:]) for k in range(4)] * 40


def net_for(texts):
    tokens = Tokens.train(texts)
    with Rng(0).torch_scope("init"):
        backbone, features = TEXT_ZOO["text_transformer"](tokens.words, tokens.pad_id)
        spec = NetSpec("zoo", "text_transformer", ("a", "b"), medium="text")
        return Net(spec, backbone, new_head(features, 2), TextFront(tokens))


def adapted(method, seed=0):
    net = net_for(TEXTS)
    with Rng(seed).torch_scope("initialise"):
        losses = method.adapt(net, TEXTS)
    return net, losses


def test_guesses_from_context_far_better_than_from_how_frequent_words_are():
    words = " ".join(TEXTS).split()
    shares = [words.count(word) / len(words) for word in set(words)]
    entropy = -sum(share * math.log(share) for share in shares)
    before = net_for(TEXTS).state_dict()
    net, losses = adapted(MaskedLanguageModel(epochs=12, lr=2e-3))
    assert losses[0] > losses[-1] and losses[-1] < 0.5 * entropy < entropy < 2.1
    after = net.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before if name.startswith("backbone."))
    assert torch.equal(after["head.weight"], before["head.weight"])
    assert set(after) == set(before)  # the layer that guessed is gone


def test_same_seed_same_weights():
    short = MaskedLanguageModel(epochs=1)
    (one, _), (again, _), (other, _) = adapted(short), adapted(short), adapted(short, seed=1)
    weights = [net.backbone.tokens.weight for net in (one, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


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


def test_texts_of_a_file_a_folder_or_a_table(tmp_path):
    (tmp_path / "lines.txt").write_text("one two three\n\nfour five six\n")
    (tmp_path / "table.csv").write_text("text\none two three\nfour five six\n")
    (tmp_path / "folder").mkdir()
    for name in ("a", "b"):
        (tmp_path / "folder" / f"{name}.txt").write_text("one two three")
    nothing = Context(SINGLE_LABEL, ("a", "b"), torch.tensor([1, 1]).numpy(), lambda: None)
    for place in ("lines.txt", "table.csv", "folder"):
        net = text_net("text_transformer")
        before = net.backbone.tokens.weight.clone()
        MaskedLanguageModel(texts=str(tmp_path / place), epochs=3, fraction=0.5).initialise(net, nothing)
        assert not torch.equal(net.backbone.tokens.weight, before)
    with pytest.raises(DataError, match="does not exist"):
        MaskedLanguageModel(texts=str(tmp_path / "none")).initialise(net, nothing)


def test_a_bag_of_words_has_nothing_to_guess_with():
    with pytest.raises(NoEffectError, match="text_transformer"):
        MaskedLanguageModel().initialise(text_net("fast_text"), None)


def test_mixout_goes_back_to_the_adapted_weights():
    net = net_for(TEXTS)
    with Rng(0).torch_scope("both"):
        context = Context(
            "text-classification", ("a", "b"), torch.tensor([1, 1]).numpy(), lambda: None, texts=lambda: TEXTS
        )
        net = Mixout().change(net, context)
        MaskedLanguageModel(epochs=1).initialise(net, context)
        chains = [m.parametrizations.weight for m in net.modules() if parametrize.is_parametrized(m, "weight")]
        assert chains and not any(torch.equal(chain[0].start, chain.original) for chain in chains)
        Mixout().initialise(net, context)
    assert all(torch.equal(chain[0].start, chain.original) for chain in chains)
    assert MaskedLanguageModel.order < Mixout.order
