import numpy as np
import pytest
from scipy import stats
from tests.evaluate.test_compare import study

from whet.core.errors import RunError
from whet.evaluate.difference import (
    _INTERVAL_CHANCE,
    _VERDICT_CHANCE,
    Variance,
    benjamini_hochberg,
    crossed_interval,
    holm,
    interval,
    mcnemar,
    mean_squares,
    paired_binary,
)


@pytest.mark.parametrize("S", [3, pytest.param(5, marks=pytest.mark.slow), 10])
@pytest.mark.parametrize("seed_noise", [0.02, 0.15, 0.4])
def test_the_interval_covers_what_is_true(S, seed_noise):
    """Of 300 simulated comparisons with 431 samples, 95 % intervals hold the truth about 95 times in 100 (no effect: 0)."""
    found = [crossed_interval(study(S, 431, 0.0, seed_noise, 1000 * S + n)) for n in range(300)]
    shift = np.mean([d.mean for d in found])  # the taste term makes the population mean slightly off zero
    assert 0.915 <= np.mean([d.low <= shift <= d.high for d in found]) <= 0.99


@pytest.mark.parametrize("seed_noise", [0.02, 0.15, 0.4])
def test_three_seeds_without_an_effect_are_given_a_verdict_in_one_case_of_twenty_at_most(seed_noise):
    found = [crossed_interval(study(3, 431, 0.0, seed_noise, n)) for n in range(400)]
    shift = np.mean([d.mean for d in found])
    assert np.mean([d.variance.p_value(abs(d.mean - shift)) < 0.05 for d in found]) <= 0.07


def test_an_interval_over_samples_alone_does_not_cover():
    """The mutant: with large seed noise a t interval over samples alone is far too narrow."""
    noisy = [study(3, 431, 0.0, 0.4, n) for n in range(300)]
    centre = np.mean([d.mean() for d in noisy])
    alone = [stats.t.interval(0.95, 430, d.mean(), stats.sem(d.mean(axis=0))) for d in noisy]
    assert np.mean([low <= centre <= high for low, high in alone]) < 0.85


def test_the_variance_is_that_of_two_crossed_random_factors():
    """Where only seeds differ it is the t interval over seeds, where only samples differ that over samples."""
    d = study(4, 50, 0.3, 0.2, 1)
    vs, vi, vr = mean_squares(d)
    assert vs == pytest.approx(d.mean(axis=1).var(ddof=1) / 4)
    assert vi == pytest.approx(d.mean(axis=0).var(ddof=1) / 50)
    found = crossed_interval(d)
    assert found.variance.total == pytest.approx(max(vs - vr, 0) + max(vi - vr, 0) + vr)
    seeds_alone = crossed_interval(np.repeat([[0.1], [0.3], [0.2]], 20, axis=1))
    reference = stats.ttest_1samp([0.1, 0.3, 0.2], 0.0)
    assert seeds_alone.p == pytest.approx(reference.pvalue)
    assert (seeds_alone.low, seeds_alone.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    samples = np.repeat(study(1, 200, 0.5, 0.1, 2), 3, axis=0)
    reference = stats.ttest_1samp(samples[0], 0.0)
    assert crossed_interval(samples).p == pytest.approx(reference.pvalue, rel=1e-3)


def test_a_p_value_is_the_level_at_which_the_interval_ends_at_zero():
    variance = Variance(4e-4, 2, 1e-4, 99, 2e-4)
    p = variance.p_value(0.08)
    assert variance.half_width(p, 1.0) == pytest.approx(0.08)
    assert variance.p_value(0.0) == 1.0
    assert variance.p_value(0.04) > p > variance.p_value(0.2)


@pytest.mark.parametrize("S", [3, pytest.param(5, marks=pytest.mark.slow), 10])
@pytest.mark.parametrize("luck", [0.0, 0.3, 1.0, 3.0, 10.0, 100.0])  # of seeds, as a multiple of the residual
@pytest.mark.parametrize("samples", [0.0, 0.3, 3.0])
def test_however_much_seeds_add_the_interval_covers_and_a_verdict_errs_as_promised(S, luck, samples):
    """By integrating over how the mean square between seeds falls (chi²), no draws: 95 % intervals hold the truth 93 to 98 % of the
    time, and verdicts err as often as their level says, also at the levels of a correction for eight questions."""

    def held(level, chance):
        drawn = (1 + luck) * stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, S - 1) / (S - 1)
        half = np.array([Variance(vs, S - 1, samples, 1e6, 1.0).half_width(level, chance) for vs in drawn])
        return np.mean(2 * stats.norm.cdf(half / np.sqrt(1 + luck + samples)) - 1)

    assert 0.93 <= held(0.05, _INTERVAL_CHANCE) <= 0.98
    for level in (0.05, 0.05 / 4, 0.05 / 8):
        assert 1 - held(level, _VERDICT_CHANCE) <= 1.11 * level


# --- few seeds ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("S", [1, 2])
def test_fewer_than_three_seeds_are_never_a_verdict(S):
    found = crossed_interval(np.full((S, 100), 0.3) + study(S, 100, 2.0, 0.0, 1))
    assert found.low > 0
    assert (found.verdict, found.chance_to_help) == ("not assessed", None)


def test_two_seeds_have_the_interval_of_these_runs():
    d = study(2, 200, 0.5, 0.1, 2)
    reference = stats.ttest_1samp(d.mean(axis=0), 0.0)
    found = crossed_interval(d)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.method == "samples alone, 2 seeds"


@pytest.mark.parametrize("S", [1, 2, 3])
def test_one_sample_tells_nothing(S):
    with pytest.raises(RunError, match="1 sample: a difference needs at least 2 samples"):
        crossed_interval(np.ones((S, 1)))


def right(gained, lost, samples):
    """(a, b) that differ on so many samples."""
    a, b = np.zeros(samples, dtype=bool), np.zeros(samples, dtype=bool)
    b[:gained], a[gained : gained + lost] = True, True
    return a, b


def test_mcnemar_is_the_exact_binomial():
    assert mcnemar(*right(17, 6, 100)) == (17, 6, pytest.approx(stats.binomtest(6, 23).pvalue))
    assert mcnemar(*right(0, 0, 100)) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("gained", "lost"), [(5, 0), (6, 0), (0, 6), (10, 2), (10, 3), (17, 6), (30, 20), (0, 0), (1, 0)]
)
def test_the_interval_of_one_seed_agrees_with_mcnemar(gained, lost):
    """5 gained and none lost of 100 is p = 0.06, not 0.03 as by a t test."""
    found = paired_binary(*right(gained, lost, 100))
    assert (found.low > 0 or found.high < 0) == (found.p < 0.05)
    assert found.low <= found.mean <= found.high
    assert -1 <= found.low < found.high <= 1


def test_the_interval_of_one_seed_covers_what_is_true():
    """80 samples, of which 12 % are gained and 4 % lost."""
    draws = stats.multinomial(80, [0.12, 0.04, 0.84]).rvs(400, random_state=np.random.RandomState(1))
    found = [paired_binary(*right(gained, lost, 80)) for gained, lost, _ in draws]
    assert np.mean([d.low <= 0.08 <= d.high for d in found]) >= 0.95


# --- verdicts -----------------------------------------------------------------------------------------------------------
def test_verdicts():
    good = crossed_interval(study(3, 431, 1.5, 0.05, 3))
    assert (good.verdict, crossed_interval(-study(3, 431, 1.5, 0.05, 3)).verdict) == ("helps", "hurts")
    assert good.chance_to_help > 0.97
    assert crossed_interval(study(3, 100, 0.0, 0.1, 3)).verdict == "undecided"


def of(mean, error, margin=0.01, samples=2000):
    variance = Variance(0.0, 4, error**2, samples - 1)
    from dataclasses import replace

    return replace(interval(mean, variance, 5, samples, ""), margin=margin)


def test_within_the_margin_on_both_sides_is_no_difference_worth_having():
    """The interval at the level of the p-value just touches the margin."""
    found = of(0.002, 0.003)
    assert found.verdict == "no difference worth having"
    assert found.high < 0.01 and found.p_too_small < 0.05
    assert of(0.002, 0.006).verdict == "undecided"
    assert of(0.0101, 0.006).p_too_small == 1.0
    assert of(0.002, 0.003, margin=0.0).verdict == "undecided"


def test_few_samples_never_show_that_nothing_differs():
    """Of 60 that all agree 3 in 100 may still differ."""
    assert of(0.0, 0.0, samples=60).verdict == "undecided"
    assert of(0.0, 0.0, samples=2000).verdict == "no difference worth having"


# --- several questions --------------------------------------------------------------------------------------------------
def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_benjamini_hochberg_is_scipy_s():
    p = [0.001, 0.2, 0.013, 0.04, 0.8]
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert benjamini_hochberg([]) == []
