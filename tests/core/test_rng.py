import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from whet.core.rng import Rng, philox4x32


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that come with Random123
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter, key, expected):
    assert philox4x32(np.array([counter], dtype=np.uint32), key).tolist() == [list(expected)]


@given(st.integers(0, 2**31), st.integers(0, 1000), st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_a_draw_depends_on_the_sample_alone(seed, epoch, indices):
    rng = Rng(seed)
    together = rng.batch("hue", epoch, indices).uniform(shape=(3,))
    for place, index in enumerate(indices):
        assert (rng.batch("hue", epoch, [index]).uniform(shape=(3,)) == together[place]).all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_draws_in_pieces_are_the_draws_at_once(counts):
    whole = Rng(1).batch("x", 0, np.arange(4)).uniform(shape=(sum(counts),))
    rng = Rng(1).batch("x", 0, np.arange(4))
    assert (np.concatenate([rng.uniform(shape=(n,)) for n in counts], axis=1) == whole).all()


def test_draws_made_together_for_several_purposes_are_the_same():
    purposes, indices, copies = ["hue", "crop", "flip"], np.array([7, 2**33, 3]), np.array([0, 1, 0])
    for purpose, rng in zip(purposes, Rng(4).batches(purposes, 2, indices, copies)):
        alone = Rng(4).batch(purpose, 2, indices, copies)
        assert (rng.uniform(shape=(3,)) == alone.uniform(shape=(3,))).all()
        assert (rng.uniform(shape=(7,)) == alone.uniform(shape=(7,))).all()
        assert (rng.by_copy().uniform() == alone.by_copy().uniform()).all()
    assert Rng(4).batches([], 0, indices) == []


def test_seed_purpose_epoch_and_k_all_matter():
    base = Rng(0).batch("a", 0, np.arange(100))
    first, second = base.uniform(), base.uniform()
    others = [
        Rng(1).batch("a", 0, np.arange(100)),
        Rng(0).batch("b", 0, np.arange(100)),
        Rng(0).batch("a", 1, np.arange(100)),
    ]
    for other in (second, *(rng.uniform() for rng in others)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.35


def test_uniform_is_uniform_and_open():
    draws = Rng(3).batch("u", 0, np.arange(200_000)).uniform()
    assert stats.kstest(draws, "uniform").pvalue > 0.001
    assert draws.min() > 0
    assert draws.max() < 1


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (lambda rng: rng.normal(), stats.norm),
        (lambda rng: rng.beta(0.3, 0.3), stats.beta(0.3, 0.3)),
        (lambda rng: rng.uniform(-2, 5), stats.uniform(-2, 7)),
    ],
)
def test_laws(draw, law):
    draws = draw(Rng(4).batch("law", 2, np.arange(20_000)))
    assert stats.kstest(draws, law.cdf).pvalue > 0.001


def test_whole_numbers_signs_and_chances():
    rng = Rng(5).batch("n", 0, np.arange(30_000))
    assert np.bincount(rng.integers(6), minlength=6) == pytest.approx(5000, abs=300)
    assert abs(rng.sign().mean()) < 0.02
    assert rng.bernoulli(0.2).mean() == pytest.approx(0.2, abs=0.01)
    assert not rng.bernoulli(0.0).any()
    assert rng.bernoulli(1.0).all()


def test_shuffled_is_a_permutation_and_changes_with_the_epoch():
    first, second = Rng(0).shuffled("order", 0, 1000), Rng(0).shuffled("order", 1, 1000)
    assert sorted(first) == sorted(second) == list(range(1000))
    assert (first != second).mean() > 0.9


def test_keyed_numbers_belong_to_names():
    numbers = Rng(0).keyed("split", ["a", "b", "c"])
    assert (Rng(0).keyed("split", ["c", "a"]) == numbers[[2, 0]]).all()
    assert len(Rng(0).keyed("split", [])) == 0


def test_torch_scope_is_keyed_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    with Rng(1).torch_scope("model", 5):
        first = torch.rand(4)
    with Rng(1).torch_scope("model", 5):
        assert torch.equal(torch.rand(4), first)
    with Rng(1).torch_scope("model", 6):
        assert not torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_global_generators_are_never_drawn_from():
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    rng = Rng(9).batch("x", 0, np.arange(10))
    rng.uniform(), rng.normal(), rng.beta(1, 2), rng.permutation(), Rng(9).integer("y")
    assert random.getstate() == state
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
