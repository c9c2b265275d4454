import sys
from pathlib import Path

import numpy as np
import pytest

from whet.core.rng import Rng
from whet.evaluate.difference import Variance, crossed_interval, interval
from whet.studies.design import design_matrix
from whet.studies.effects import ToDecide, fitted_effects, interactions, moderated, to_decide

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
    crossed = crossed_interval(value_SRN[:, 1] - value_SRN[:, 0])
    assert fitted.mean == pytest.approx(crossed.mean)
    assert (fitted.low, fitted.high) == pytest.approx((crossed.low, crossed.high))


def test_one_factor_at_a_time_each_effect_is_a_paired_difference_and_nothing_where_answers_are_alike():
    coded = np.tile(design_matrix("add", 3), (3, 1))
    value_RN = (Rng(2).batch("x", 0, np.arange(12)).uniform(shape=(50,)) < 0.8).astype(float)
    turned = [1 + int(np.flatnonzero(coded[1:4, f] > 0)[0]) for f in range(3)]
    value_RN[turned[0] :: 4] = value_RN[0::4]
    found = fitted_effects(value_RN, coded, np.repeat(np.arange(3), 4))
    assert [d.mean for d in found] == pytest.approx([(value_RN[row::4] - value_RN[0::4]).mean() for row in turned])
    assert (found[0].mean, found[0].p, found[0].verdict) == (0.0, 1.0, "undecided")


def test_a_design_that_does_not_tell_its_factors_apart_is_refused():
    coded = design_matrix("screen", 4)[:4]
    with pytest.raises(ValueError, match="more seeds"):
        fitted_effects(np.ones((4, 9)), coded, np.zeros(4))


def test_a_seed_whose_runs_failed_is_left_out():
    """Four of the second seed's runs do not tell five effects apart; the other seeds are judged as if it were not there."""
    coded = design_matrix("screen", 5)
    setting = simulated_studies.Setting("screen", 4, "small", factors=5)
    value_SRN, _ = next(setting.outcomes(1))
    whole = [0, 2, 3]
    three = fitted_effects(
        np.vstack(value_SRN[whole]).astype(float), np.vstack([coded] * 3), np.repeat(whole, len(coded))
    )
    rows = [(seed, row) for seed in range(4) for row in range(len(coded)) if seed != 1 or row < 4]
    value_RN = np.stack([value_SRN[seed, row] for seed, row in rows]).astype(float)
    found = fitted_effects(value_RN, coded[[row for _, row in rows]], np.array([seed for seed, _ in rows]))
    assert [(d.mean, d.low, d.seeds) for d in found] == [
        (pytest.approx(d.mean), pytest.approx(d.low), 3) for d in three
    ]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("design", ["screen", "add"])
def test_one_and_two_seeds_are_not_judged_and_speak_of_their_own_runs(design, seeds):
    found = simulated_studies.simulated(simulated_studies.Setting(design, seeds, "large"), 80)
    assert found.assessed == found.wrong == found.right == 0
    assert 0.90 <= found.covered_P.mean() <= 0.99


# --- variances that are moderated, not pooled ---------------------------------------------------------------------------
def test_variances_that_are_alike_are_drawn_together_and_one_that_is_not_keeps_its_own():
    """Smyth's formula, with one degree of freedom lent: (s0² + d s²) / (1 + d)."""
    alike = [1.1e-4, 1.0e-4, 0.9e-4, 1.05e-4, 0.5e-4]
    found = moderated([*alike, 100e-4], [2] * 6)
    assert found[-1] == (100e-4, 2)
    value, freedom = found[4]
    assert value > 0.5e-4 and 2 < freedom <= 3
    equal = moderated([1e-4] * 5 + [0.5e-4], [4] * 6)
    assert equal[5] == (
        pytest.approx((5.5e-4 / 6 + 4 * 0.5e-4) / 5),
        5,
    )  # no more spread than chance: s0² is their mean


def test_a_variance_alone_or_none_at_all_stays():
    assert moderated([2e-4], [2]) == [(2e-4, 2)]
    assert moderated([0.0, 0.0], [2, 2]) == [(0.0, 2), (0.0, 2)]


def test_a_factor_whose_effect_differs_from_seed_to_seed_is_covered():
    """Among seven that do not; with one variance for all its intervals hold the truth in two cases of three."""
    found = simulated_studies.simulated(simulated_studies.Setting("screen", 3, "small", by_seed="one"), 150)
    assert found.covered_P[0] >= 0.88
    assert found.covered_P.mean() <= 0.99
    assert found.wrong <= 0.05


def test_an_interaction_is_the_product_of_two_columns():
    coded = design_matrix("factorial", 3)
    pairs, columns = interactions(coded)
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    value = 0.5 + 0.1 * (coded[:, 0] * coded[:, 2])[:, None] / 2 + np.zeros((1, 5))
    found = fitted_effects(value, np.column_stack([coded, columns]), np.zeros(8))
    assert np.allclose([d.mean for d in found], [0, 0, 0, 0, 0.1, 0])


# --- what would decide --------------------------------------------------------------------------------------------------
def effect(mean, variance, seeds=3, samples=400):
    return interval(mean, variance, seeds, samples, "")


def test_more_seeds_decide_where_seeds_are_short():
    """With as many seeds as are told, an effect of that size is told in about four cases of five."""
    run_variance, mean = 3e-4, 0.02
    found = effect(mean, Variance(run_variance / 3, 2, 1e-6, 399))
    told = to_decide(found, 1)
    assert told.more_samples == 0
    S = told.seeds
    means = mean + np.sqrt(run_variance / S) * Rng(1).batch("mean", 0, np.arange(600)).normal()
    squares = run_variance * np.array(
        [(Rng(2).batch("s", n, np.arange(S)).normal() ** 2)[1:].sum() / (S - 1) for n in range(600)]
    )
    verdicts = [effect(m, Variance(v / S, S - 1, 1e-6, 399), S).verdict for m, v in zip(means, squares, strict=True)]
    assert 0.7 <= np.mean([verdict == "helps" for verdict in verdicts]) <= 0.92


def test_more_samples_decide_where_no_number_of_seeds_does():
    found = effect(0.01, Variance(1e-6, 2, 1e-4, 399))
    told = to_decide(found, 1)
    assert told.more_samples > 1000
    enough = found.variance.with_seeds(3, told.seeds).with_samples(400, 400 + told.more_samples)
    power = 0.84 * (enough.seeds + enough.samples) ** 0.5
    assert enough.p_value(0.01 - power) < 0.05
    assert told.text() == f"about {told.more_samples} more validation samples and 10 seeds would decide"


def test_what_decides_is_not_told_of_what_is_not_judged_or_nothing():
    assert to_decide(effect(0.01, Variance(0.0, 1, 1e-4, 399), seeds=1), 1) is None
    assert to_decide(effect(0.0, Variance(1e-4, 2, 1e-4, 399)), 1) is None
    assert to_decide(effect(1e-9, Variance(1e-4, 2, 1e-4, 399)), 1) is None
    assert ToDecide(4).text() == "about 4 seeds would decide"


# --- coverage and error rates, for all settings of benchmarks/study_truth.py -------------------------------------------------
@pytest.mark.parametrize("design", ["screen", "ablate", "factorial"])
def test_intervals_cover_in_a_few_studies(design):
    setting = simulated_studies.Setting(design, 3, "large", together=0.05)
    assert 0.90 <= simulated_studies.simulated(setting, 60).covered_P.mean() <= 0.995


def test_of_classes_that_nothing_hurts_few_studies_say_so():
    found = simulated_studies.classes_hurt(3, 400, 10, 4, 20, "large")
    assert found["told"] <= 0.1 < found["by_interval"]


def test_what_is_fitted_on_the_validation_samples_is_seen_as_it_is_by_cross_fitting_alone():
    found = simulated_studies.fitted_on_validation(150, 3, 40)
    assert found["in_sample_difference"] < -0.01
    assert found["true_difference"] > 0.01
    assert found["cross_fitted_difference"] == pytest.approx(found["true_difference"], abs=0.008)
    assert found["cross_fitted_helps"] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("design", ["screen", "ablate", "add", "factorial"])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("noise", ["small", "large"])
@pytest.mark.parametrize("by_seed", list(simulated_studies.BY_SEED))
def test_intervals_cover_and_verdicts_are_right_as_they_promise(design, seeds, noise, by_seed):
    found = simulated_studies.simulated(simulated_studies.Setting(design, seeds, noise, 0.0, by_seed), 400)
    assert 0.92 <= found.covered_P.mean() <= 0.98
    assert found.wrong <= 0.05


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
