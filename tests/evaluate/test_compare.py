import shutil

import numpy as np
import pytest
from scipy import stats

from whet.core.errors import RunError
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import Group, compare_runs, crossed_interval, mcnemar
from whet.evaluate.metrics import wilson_interval


def study(S, N, effect, seed_noise, study_number):
    """Binary outcomes of two recipes: shared sample difficulty, seeds with luck of their own, and noise of each answer."""
    rng = Rng(study_number)
    sample = rng.batch("sample", 0, np.arange(N))
    difficulty, taste = 1.6 * sample.normal() + 1.9, 0.6 * sample.normal()
    luck = seed_noise * rng.batch("seed", 0, np.arange(S)).normal((2,))
    flip = rng.batch("answer", 0, np.arange(S * N)).uniform(shape=(2,)).reshape(S, N, 2)
    chance = [1 / (1 + np.exp(-(difficulty[None] + luck[:, [k]] + k * (effect + taste[None])))) for k in (0, 1)]
    right = [flip[:, :, k] < chance[k] for k in (0, 1)]
    return right[1].astype(float) - right[0].astype(float)


def truth(effect):
    """The mean difference over all samples and seeds, by brute force."""
    return study(400, 4000, effect, 0.15, 10**6).mean()


@pytest.mark.parametrize("S", [3, 5, 10])
@pytest.mark.parametrize("seed_noise", [0.02, 0.15, 0.4])
def test_the_interval_covers_what_is_true(S, seed_noise):
    """Of 300 simulated comparisons with 431 samples, 95 % intervals hold the truth about 95 times in 100 (no effect: 0)."""
    found = [crossed_interval(study(S, 431, 0.0, seed_noise, 1000 * S + n)) for n in range(300)]
    expected = study(2000, 431, 0.0, 0.0, 5).mean() * 0
    taste_shift = np.mean([d.mean for d in found])  # the taste term makes the population mean slightly off zero
    covered = np.mean([d.low <= expected + taste_shift <= d.high for d in found])
    assert 0.915 <= covered <= 0.99


def test_an_interval_over_samples_alone_does_not():
    """The mutant: with large seed noise a t interval over samples alone is far too narrow."""
    noisy = [study(3, 431, 0.0, 0.4, n) for n in range(300)]
    centre = np.mean([d.mean() for d in noisy])
    alone = [stats.t.interval(0.95, 430, d.mean(), stats.sem(d.mean(axis=0))) for d in noisy]
    assert np.mean([low <= centre <= high for low, high in alone]) < 0.85


def test_it_is_the_formula_of_the_design():
    d = study(4, 50, 0.3, 0.2, 1)
    S, N = d.shape
    grand, rows, columns = d.mean(), d.mean(axis=1), d.mean(axis=0)
    vs = ((rows - grand) ** 2).sum() / (S - 1) / S
    vi = ((columns - grand) ** 2).sum() / (N - 1) / N
    vr = ((d - rows[:, None] - columns[None] + grand) ** 2).sum() / ((S - 1) * (N - 1)) / (S * N)
    variance = max(vs - vr, 0) + max(vi - vr, 0) + vr
    found = crossed_interval(d)
    assert found.mean == pytest.approx(grand)
    # Satterthwaite over the mean squares that enter: vs and vi where they exceed vr, and vr with what is left of its weight.
    parts = [(vs, S - 1) if vs > vr else (0, 1), (vi, N - 1) if vi > vr else (0, 1)]
    parts.append(((1 - (vs > vr) - (vi > vr)) * vr, (S - 1) * (N - 1)))
    freedom = variance**2 / sum(value**2 / df for value, df in parts)
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * variance**0.5)


def test_one_seed_is_the_paired_t_test():
    d = study(1, 200, 0.5, 0.1, 2)
    reference = stats.ttest_1samp(d[0], 0.0)
    found = crossed_interval(d)
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_identical_recipes_differ_by_nothing():
    found = crossed_interval(np.zeros((3, 100)))
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, "no evidence")


def test_verdicts():
    assert crossed_interval(study(3, 431, 1.5, 0.05, 3)).verdict == "helps"
    assert crossed_interval(-study(3, 431, 1.5, 0.05, 3)).verdict == "hurts"


def test_mcnemar_is_the_exact_binomial():
    a, b = np.array([True] * 50 + [False] * 50), np.array([True] * 44 + [False] * 6 + [True] * 17 + [False] * 33)
    gained, lost, p = mcnemar(a, b)
    assert (gained, lost) == (17, 6)
    assert p == pytest.approx(stats.binomtest(6, 23).pvalue)
    assert mcnemar(a, a) == (0, 0, 1.0)


# --- from run folders -----------------------------------------------------------------------------------------------
def edited(run, to, *, seed=None, asked=None, predicted=None, drop=0):
    """A copy of a finished run that claims to be another."""
    shutil.copytree(run, to)
    folder = RunFolder(to)
    metrics = folder.read_json(folder.metrics)
    metrics["seed"] = metrics["seed"] if seed is None else seed
    metrics["asked_hash"] = asked or metrics["asked_hash"]
    from whet.core.run_folder import write_json

    write_json(folder.metrics, metrics)
    frame = folder.read_predictions()
    if predicted:
        frame.loc[frame.index[frame["split"] == "test"][:3], "predicted"] = predicted
    frame.iloc[: len(frame) - drop].to_csv(folder.predictions, index=False)
    return folder


def test_runs_are_grouped_by_recipe_and_paired_by_seed(finished_run, tmp_path):
    runs = [edited(finished_run, tmp_path / f"plain-s{s}", seed=s) for s in (0, 1)]
    runs += [
        edited(finished_run, tmp_path / f"other-s{s}", seed=s, asked="other", predicted="nonsense") for s in (0, 1, 2)
    ]
    reference, (comparison,), samples = compare_runs(runs)
    assert (reference.name, comparison.group.name) == ("plain", "other")
    assert comparison.difference.seeds == 2
    assert comparison.difference.mean <= 0
    assert samples == reference.right_SN.shape[1]
    assert comparison.mcnemar is None


def test_one_seed_each_gets_mcnemar(finished_run, tmp_path):
    a = edited(finished_run, tmp_path / "a")
    b = edited(finished_run, tmp_path / "b", asked="b", seed=7, predicted="nonsense")
    _, (comparison,), _ = compare_runs([a, b])
    assert comparison.mcnemar is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asked": "x", "drop": 2}, "answered different test samples"),
        ({}, "same recipe with the same seed"),
        ({"seed": 5}, "give runs of at least two recipes"),
    ],
)
def test_runs_that_cannot_be_compared(finished_run, tmp_path, changes, message):
    runs = [edited(finished_run, tmp_path / "a"), edited(finished_run, tmp_path / "b", **changes)]
    with pytest.raises(RunError, match=message):
        compare_runs(runs)


def group(right_SN):
    seeds = tuple(range(len(right_SN)))
    return Group("a", (), seeds, right_SN, seconds=1.0)


def test_the_accuracy_of_one_seed_has_wilson_s_interval():
    right = np.array([[True] * 90 + [False] * 10])
    assert group(right).accuracy_interval == pytest.approx(wilson_interval(90, 100))


def test_the_accuracy_of_several_seeds_has_the_crossed_interval_within_0_and_1():
    right = study(3, 100, 0.0, 0.3, 4) > -0.5
    found = crossed_interval(right.astype(float))
    assert group(right).accuracy_interval == pytest.approx((max(0, found.low), min(1, found.high)))
    assert group(np.ones((2, 50), dtype=bool)).accuracy_interval == (1.0, 1.0)
    nearly = np.ones((2, 50), dtype=bool)
    nearly[0, 0] = False
    assert group(nearly).accuracy_interval[1] <= 1.0
