import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from whet.core.rng import Rng
from whet.models.net import Net, NetSpec
from whet.models.residual import residual_branches
from whet.models.zoo_text import TEXT_ZOO
from whet.models.zoo_text.fast_text import FastText, Letters

VOCABULARY, PAD = 50, 0
WORDS = ["", *(f"w{number}" for number in range(1, VOCABULARY))]


def made(name, **sizes):
    with Rng(0).torch_scope("init"):
        backbone, features = TEXT_ZOO[name](WORDS, PAD, **sizes)
    return backbone.eval(), features


def texts(*lengths, L=16, seed=0):
    ids = np.zeros((len(lengths), L), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = Rng(seed).batch("ids", 0, np.arange(length)).integers(VOCABULARY - 1) + 1
    return torch.from_numpy(ids)


@pytest.mark.parametrize("name", TEXT_ZOO)
@pytest.mark.parametrize(("width", "depth"), [(1.0, 1), (0.3, 1), (1.0, 2)])
def test_any_text_gives_the_promised_features(name, width, depth):
    backbone, features = made(name, width=width, depth=depth)
    for L in (1, 8, 64):
        assert backbone(texts(1, L, L=L)).shape == (2, features)


@pytest.mark.parametrize("name", TEXT_ZOO)
@pytest.mark.parametrize("depth", [1, 2])
@torch.inference_mode()
def test_padding_never_changes_an_answer(name, depth):
    backbone, _ = made(name, depth=depth)
    for name, parameter in backbone.named_parameters():  # also where the vector of padding is not zero, and no bias is
        if name == "tokens.weight":
            parameter[PAD] += 1
        elif parameter.ndim == 1:
            parameter.add_(0.1)
    ids = texts(1, 2, 5, 13)
    wanted = backbone(ids)
    assert torch.allclose(backbone(F.pad(ids, (0, 24))), wanted, atol=1e-5)
    for row, length in enumerate((1, 2, 5, 13)):
        assert torch.allclose(backbone(ids[row : row + 1, :length])[0], wanted[row], atol=1e-5)


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_a_row_of_padding_alone_stays_finite_and_trains(name):
    backbone, _ = made(name)
    backbone.train()
    out = backbone(torch.zeros(2, 8, dtype=torch.long))
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in backbone.parameters())


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_the_order_of_words_counts(name):
    backbone, _ = made(name)
    ids = texts(12)
    turned = ids.clone()
    turned[0, :12] = ids[0, :12].flip(0)
    assert (backbone(ids) - backbone(turned)).abs().max() > 1e-3


@pytest.mark.parametrize("name", TEXT_ZOO)
def test_blocks_are_named_in_the_order_they_run(name):
    backbone, _ = made(name, depth=2)
    net = Net(NetSpec("zoo", name, ("a", "b"), (0.5,) * 3, (0.25,) * 3), backbone, nn.Identity())
    ran = []
    for block in net.block_names:
        net.get_submodule(block).register_forward_pre_hook(lambda *_, block=block: ran.append(block))
    backbone(texts(9))
    assert list(dict.fromkeys(ran)) == net.block_names


@pytest.mark.parametrize("name", sorted(set(TEXT_ZOO) - {"tf_idf"}))  # of which nothing is trained
def test_it_learns_which_of_two_words_a_text_holds(name):
    rng = Rng(1).batch("words", 0, np.arange(192))
    noise, place, first = rng.uniform(shape=(8,)), rng.integers(8), rng.bernoulli(0.5)
    ids = (noise * 20).astype(np.int64) + 10
    ids[np.arange(192), place] = np.where(first, 3, 4)
    x, y = torch.from_numpy(ids), torch.from_numpy(first.astype(np.int64))
    backbone, features = made(name, width=0.5)
    with Rng(0).torch_scope("head"):
        model = nn.Sequential(backbone.train(), nn.Linear(features, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2 if name == "fast_text" else 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(x[:128]), y[:128]).backward()
        optimizer.step()
    assert (model.eval()(x[128:]).argmax(1) == y[128:]).float().mean() > 0.9


def test_fast_text_is_the_sum_of_its_ngrams_over_the_root_of_their_number():
    """By the formula, a run at a time: pairs and threes, of which an end of the text may be one."""
    with Rng(0).torch_scope("init"):
        net = FastText([""] * VOCABULARY, PAD, width=6, layers=0, longest=3)  # none has letters

    def vector(*run):
        with np.errstate(over="ignore"):
            number = np.int64(0)
            for id_ in run:
                number = number * np.int64(1_000_003) + np.int64(id_)
            number = (number ^ (number >> 29)) * np.int64(0x5BD1E995)
            number ^= number >> 17
        return net.ngrams.weight[int(number % net.ngrams.num_embeddings)]

    a, b, c = 7, 9, 11
    pairs = [(PAD, a), (a, b), (b, c), (c, PAD)]
    threes = [(PAD, a, b), (a, b, c), (b, c, PAD)]
    bag = [net.tokens.weight[k] for k in (a, b, c)] + [vector(*run) for run in pairs + threes]
    for row in ([a, b, c], [a, b, c, PAD, PAD]):
        assert torch.allclose(net(torch.tensor([row]))[0], sum(bag) / len(bag) ** 0.5, atol=1e-6)
    short = [net.tokens.weight[a], vector(PAD, a), vector(a, PAD)]  # a text of one word has no three with one end alone
    assert torch.allclose(net(torch.tensor([[a, PAD]]))[0], sum(short) / 3**0.5, atol=1e-6)


def test_the_letters_of_a_word_are_its_runs_of_three_to_five_with_marked_ends():
    """Bojanowski et al. 2016, 3.2, by hand; the sum over the root of their number."""
    with Rng(0).torch_scope("init"):
        letters = Letters(["", "cats", "a", "catalogue"], 6)
    runs = ["<ca", "cat", "ats", "ts>", "<cat", "cats", "ats>", "<cats", "cats>"]
    wanted = (
        sum(letters.weight[zlib.crc32(run.encode()) % (len(letters.weight) - 1)] for run in runs) / len(runs) ** 0.5
    )
    found = letters(torch.tensor([[1, 2, 0, 3]]))[0]
    assert torch.allclose(found[0], wanted, atol=1e-6)
    assert not found[1:3].any()  # too short, and no word
    assert (found[0] - found[3]).abs().max() > 1e-3
    assert torch.equal(
        letters(torch.tensor([[1, 2, 0, 3, 1, 1]]))[0, :4], found
    )  # as many tokens as there are words, or more


def test_the_letter_of_a_chinese_character_is_its_radical():
    """Bottle and porcelain are earthenware, bottle and cake nothing in common; what came later to Unicode has none."""
    with Rng(0).torch_scope("init"):
        letters = Letters(["", "瓶", "瓷", "饼", "箱", "竹", "\u9fa6", "カ"], 6)
    bottle, porcelain, cake, box, bamboo, late, kana = letters(torch.arange(1, 8)[None])[0]
    assert torch.equal(bottle, porcelain) and torch.equal(box, bamboo)
    assert torch.equal(bottle, letters.weight[zlib.crc32("瓦".encode()) % (len(letters.weight) - 1)])
    assert (bottle - cake).abs().max() > 1e-3 and not late.any() and not kana.any()


def test_words_of_one_stem_learn_from_each_other():
    """What one word is seen with is believed of another that shares its letters."""
    with Rng(0).torch_scope("init"):
        net, head = (
            FastText(["", "wonderful", "wonderfully", "terrible", "terribly"], PAD, width=8, layers=0),
            nn.Linear(8, 2),
        )
    optimizer = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(head(net(torch.tensor([[1], [3]]))), torch.tensor([0, 1])).backward()
        optimizer.step()
    assert head(net(torch.tensor([[2], [4]]))).argmax(1).tolist() == [0, 1]


def test_hashed_ngrams_fill_the_buckets_evenly():
    from whet.models.zoo_text.fast_text import _BUCKETS, ngrams

    first, second = torch.meshgrid(torch.arange(1, 257), torch.arange(1, 257), indexing="ij")
    pairs = torch.stack([first.flatten(), second.flatten()], dim=1)
    ((buckets, real),) = list(ngrams(pairs, 0, 2, _BUCKETS))
    assert real.all()
    counts = torch.bincount(buckets[:, 1], minlength=_BUCKETS).double()  # the outer two hold an end of the text
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum() / (_BUCKETS - 1)
    assert 0.9 < chi2 < 1.1  # as random places would be


def test_text_cnn_is_the_largest_answer_of_each_detector():
    """Kim's formula by hand: the maximum over places of relu(w . x[i:i+h] + b)."""
    backbone, features = made("text_cnn", width=0.1)
    ids = texts(9, L=9)
    x_LD = F.pad(backbone.tokens(ids)[0], (0, 0, 5, 5))
    wanted = []
    for conv in backbone.layers[0].spans:
        span = conv.kernel_size[0]
        places = range(5 - span // 2, 5 - span // 2 + 9)
        answers = torch.stack(
            [torch.einsum("md,omd->o", x_LD[i : i + span], conv.weight.transpose(1, 2)) for i in places]
        )
        wanted.append(F.relu(answers + conv.bias).amax(0))
    assert torch.allclose(backbone(ids)[0], torch.cat(wanted), atol=1e-5)
    assert features == 30


def test_text_transformer_equals_torchs_own_encoder():
    backbone, features = made("text_transformer")
    theirs = nn.TransformerEncoderLayer(features, 4, 4 * features, 0.0, "gelu", norm_first=True, batch_first=True)
    block = backbone.layers[0]
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": block.attention.qkv.weight, "self_attn.in_proj_bias": block.attention.qkv.bias,
            "self_attn.out_proj.weight": block.attention.proj.weight, "self_attn.out_proj.bias": block.attention.proj.bias,
            "linear1.weight": block.mlp[0].weight, "linear1.bias": block.mlp[0].bias,
            "linear2.weight": block.mlp[2].weight, "linear2.bias": block.mlp[2].bias,
            **{f"norm{n}.{p}": getattr(getattr(block, f"norm{n}"), p) for n in (1, 2) for p in ("weight", "bias")},
        }
    )  # fmt: skip
    with Rng(0).torch_scope("x"):
        x = torch.randn(2, 12, features)
    real = texts(12, 5, L=12) != PAD
    ours = block(x, real[:, None, None])
    assert torch.allclose(ours[real], theirs(x, src_key_padding_mask=~real)[real], atol=1e-5)


def test_the_transformers_residual_branches_are_found():
    backbone, _ = made("text_transformer")
    assert [branch.block for branch in residual_branches(backbone)] == list(backbone.layers)
