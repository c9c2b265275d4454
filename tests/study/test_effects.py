import sys
from pathlib import Path

import numpy as np
import pytest

from whet.core.rng import Rng
from whet.evaluate.compare import crossed_interval
from whet.study.design import design_matrix
from whet.study.effects import fitted_effects, holm, interactions, paired_effect, seeds_to_tell

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import simulated_studies


def test_without_noise_the_fit_finds_the_effects_exactly():
    coded = design_matrix("screen", 5)
    effects = np.array([0.3, -0.2, 0.0, 0.1, 0.05])
    value = 0.5 + (coded @ effects / 2)[:, None] + np.linspace(-0.1, 0.1, 7)[None, :]
    both = np.vstack([value, value + 0.1])  # a second seed, better throughout
    block = np.repeat([0, 1], len(coded))
    found = fitted_effects(both, np.vstack([coded, coded]), block)
    assert np.allclose([d.mean for d in found], effects)
    assert all(d.high - d.low < 1e-6 for d in found)


def test_with_one_factor_it_is_the_paired_interval():
    """Two runs a seed: least squares within the seeds' blocks is the paired difference, and the interval the crossed one."""
    rng = Rng(1).batch("x", 0, np.arange(1))
    value_SRN = (rng.uniform(shape=(4, 2, 50))[0] < 0.8).astype(float)
    coded = np.array([[-1], [1]])
    fitted = fitted_effects(value_SRN.reshape(8, 50), np.tile(coded, (4, 1)), np.repeat(np.arange(4), 2))[0]
    value_RN, block_R = value_SRN.reshape(8, 50), np.repeat(np.arange(4), 2)
    paired = paired_effect(value_RN, np.tile([-1, 1], 4), np.full(8, True), block_R)
    crossed = crossed_interval(value_SRN[:, 1] - value_SRN[:, 0])
    assert paired == crossed
    assert fitted.mean == pytest.approx(crossed.mean)
    assert (fitted.low, fitted.high) == pytest.approx((crossed.low, crossed.high))


def test_a_design_that_leaves_nothing_for_chance_is_refused():
    coded = design_matrix("screen", 4)[:4]
    with pytest.raises(ValueError, match="more seeds"):
        fitted_effects(np.ones((4, 9)), coded, np.zeros(4))


def test_an_interaction_is_the_product_of_two_columns():
    coded = design_matrix("factorial", 3)
    pairs, columns = interactions(coded)
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    value = 0.5 + 0.1 * (coded[:, 0] * coded[:, 2])[:, None] / 2 + np.zeros((1, 5))
    found = fitted_effects(value, np.column_stack([coded, columns]), np.zeros(8))
    assert np.allclose([d.mean for d in found], [0, 0, 0, 0, 0.1, 0])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


def test_how_many_seeds_would_tell():
    from whet.evaluate.compare import Difference

    unclear = Difference(0.01, -0.01, 0.03, 0.3, 3, 100, "")
    assert seeds_to_tell(unclear) == 12
    assert seeds_to_tell(Difference(0.03, 0.01, 0.05, 0.01, 3, 100, "")) is None


# --- coverage -----------------------------------------------------------------------------------------------------------
LUCK = [
    (noise, together, by_seed)
    for noise in ("small", "large")
    for together, by_seed in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.5))
]


@pytest.mark.parametrize("design", ["screen", "ablate", "factorial"])
def test_intervals_cover_in_a_few_studies(design):
    setting = simulated_studies.Setting(design, 3, "large", together=0.05)
    assert 0.90 <= simulated_studies.coverage(setting, 60)[0] <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("design", ["screen", "ablate", "add", "factorial"])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(("noise", "together", "by_seed"), LUCK)
def test_intervals_cover_as_they_promise(design, seeds, noise, together, by_seed):
    setting = simulated_studies.Setting(design, seeds, noise, together, by_seed)
    assert 0.92 <= simulated_studies.coverage(setting, 1000)[0] <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "seeds", "noise"),
    [
        ("seeds alone", 10, "small"),
        ("samples alone", 10, "large"),
        ("unpaired", 3, "large"),
        ("two-way bootstrap", 3, "large"),
    ],
)
def test_wrong_intervals_are_found_out(mutant, seeds, noise):
    setting = simulated_studies.Setting("add", seeds, noise)
    share, _ = simulated_studies.coverage(setting, 300, simulated_studies.MUTANTS[mutant])
    assert not 0.92 <= share <= 0.98
