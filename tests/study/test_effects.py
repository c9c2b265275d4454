import numpy as np
import pytest
from scipy import stats

from whet.core.rng import Rng
from whet.evaluate.compare import crossed_interval
from whet.study.design import design_matrix
from whet.study.effects import fitted_effects, holm, interactions, paired_effect, seeds_to_tell


def outcomes(coded_RP, seeds, samples, effects, *, run_noise=0.0, seed_noise=0.0, spread=1.0, rng):
    """Binary answers of every run: a sample's own ease, the factors' effects on it, and chance by run and by answer.

    Effects and noises are on the scale of a normal threshold model: right where ease + effects + noise > 0."""
    R, P = coded_RP.shape
    ease_N = 1.0 + spread * rng["ease"].normal((samples,))[0]
    taste_PN = np.asarray(effects)[:, None] * (1 + 0.3 * rng["taste"].normal((P, samples))[0])
    value = np.empty((seeds, R, samples))
    seed_S, run_SR = rng["seed"].normal((seeds,))[0], rng["run"].normal((seeds, R))[0]
    answer = rng["answer"].normal((seeds, R, samples))[0]
    for s in range(seeds):
        lift = coded_RP @ taste_PN / 2
        value[s] = ease_N + lift + seed_noise * seed_S[s] + run_noise * run_SR[s][:, None] + 0.5 * answer[s] > 0
    return value


def true_effects(coded_RP, effects, run_noise, seed_noise, spread):
    """The expected change of accuracy over fresh samples, seeds and runs, the other factors at the design's own levels."""
    found = []
    for p in range(coded_RP.shape[1]):
        # ease ~ N(1, spread), the tastes spread the lift a little, chance adds 0.5, run_noise and seed_noise
        means, variances = coded_RP @ np.asarray(effects) / 2, None
        variances = spread**2 + 0.25 + run_noise**2 + seed_noise**2 + 0.09 / 4 * (np.asarray(effects) ** 2).sum()
        accuracy_R = stats.norm.cdf((1.0 + means) / np.sqrt(variances))
        found.append(accuracy_R[coded_RP[:, p] > 0].mean() - accuracy_R[coded_RP[:, p] < 0].mean())
    return np.array(found)


def draws(number):
    names = ("ease", "taste", "seed", "run", "answer")
    return {name: Rng(11).batch(f"study {name}", number, np.arange(1)) for name in names}


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


SETTINGS = [
    (design, seeds, noise)
    for design, counts in (("screen", (1, 3, 5)), ("add", (3, 5, 10)), ("factorial", (2, 5)))
    for seeds in counts
    for noise in ("small", "large")
]


def coverage(design, seeds, noise, studies, interval="whet"):
    """The share of 95 % intervals that hold the true effect, over simulated studies and all their factors."""
    factors = {"screen": 8, "add": 4, "factorial": 3}[design]
    coded = design_matrix(design, factors)
    effects = np.array([0.25, -0.15, 0.0, 0.1, 0.0, 0.3, -0.05, 0.0])[:factors]
    run_noise = {"small": 0.03, "large": 0.25}[noise]
    truth = true_effects(coded, effects, run_noise, 0.1, 1.0)
    if design == "add":
        base = stats.norm.cdf  # one at a time: the factor alone against the base
        scale = np.sqrt(1 + 0.25 + run_noise**2 + 0.01 + 0.09 / 4 * (effects**2).sum())
        low = 1.0 - effects.sum() / 2
        truth = base((low + effects) / scale) - base(low / scale)
    held = []
    for number in range(studies):
        value = outcomes(coded, seeds, 300, effects, run_noise=run_noise, seed_noise=0.1, rng=draws(number))
        block, levels = np.repeat(np.arange(seeds), len(coded)), np.tile(coded, (seeds, 1))
        runs = value.reshape(-1, 300).astype(float)
        if design == "add":
            alone = (levels > 0).sum(axis=1)
            found = [paired_effect(runs, levels[:, f], alone == (levels[:, f] > 0), block) for f in range(factors)]
        else:
            found = fitted_effects(runs, levels, block)
        held.append([d.low <= t <= d.high for d, t in zip(found, truth)])
    return float(np.mean(held))


@pytest.mark.parametrize(
    ("design", "seeds", "noise"), [("screen", 3, "large"), ("add", 3, "large"), ("factorial", 2, "small")]
)
def test_intervals_cover_in_a_few_studies(design, seeds, noise):
    assert 0.90 <= coverage(design, seeds, noise, 120) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("design", "seeds", "noise"), SETTINGS)
def test_intervals_cover_as_they_promise(design, seeds, noise):
    assert 0.92 <= coverage(design, seeds, noise, 1000) <= 0.98
