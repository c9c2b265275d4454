import functools
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.made_evidence import decided, evidence

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.evidence import pseudo_values
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import Group, about, compare_runs, difference
from whet.evaluate.difference import crossed_interval
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.evaluate.rates import wilson_interval
from whet.tasks import SINGLE_LABEL
from whet.tasks.single_label import macro_f1, worst_recall


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


METRICS = SINGLE_LABEL.metrics


def jackknife_interval(metric, a_SN, b_SN, label_N, groups):
    """The interval of metric(b) - metric(a) by the pseudo-values of both."""
    pairs = zip(seeds_of(a_SN, label_N), seeds_of(b_SN, label_N), strict=True)
    return crossed_interval(
        np.stack([pseudo_values(metric, b, groups) - pseudo_values(metric, a, groups) for a, b in pairs])
    )


def seeds_of(predicted_SN, label_N):
    K = max(2, int(max(np.max(predicted_SN), np.max(label_N))) + 1)
    return [decided(predicted_N, label_N, K) for predicted_N in predicted_SN]


def found_by(metric, a_SN, b_SN, label_N):
    return difference(METRICS[metric], seeds_of(a_SN, label_N), seeds_of(b_SN, label_N))


# --- from run folders -----------------------------------------------------------------------------------------------
def edited(run, to, *, seed=None, asked=None, predicted=None, relabelled=False, drop=0, test=True):
    """A copy of a finished run that claims to be another."""
    shutil.copytree(run, to)
    folder = RunFolder(to)
    metrics = folder.read_json(folder.metrics)
    metrics["seed"] = metrics["seed"] if seed is None else seed
    metrics["requested_hash"] = asked or metrics["requested_hash"]
    if not test:
        del metrics["test"]
    strict_json.write(folder.metrics, metrics)
    parts = {part: read_evidence(folder, part) for part in ("val", "test")}
    one = parts["test"]
    probs_NK, labels, classes = one.probs_NK.copy(), one.labels.copy(), one.classes
    if predicted:  # a class that only this run knows
        classes = (*classes, predicted)
        probs_NK = np.column_stack([probs_NK, np.zeros(len(one))])
        probs_NK[:3] = np.eye(len(classes))[-1]
        parts["val"] = SINGLE_LABEL.with_classes(parts["val"], classes)
    if relabelled:
        labels = (labels + 1) % len(one.classes)
    parts["test"] = replace(one, classes=classes, probs_NK=probs_NK, labels=labels).rows(
        np.arange(min(drop, len(one) - 1), len(one))
    )
    if drop >= len(one):
        parts["test"] = replace(parts["test"], ids=np.array(["another"]))
    write_evidence(folder, parts)
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
        ({"asked": "x", "drop": 1000}, "have no predicted sample in common"),
        ({"asked": "x", "relabelled": True}, "have different labels for the same samples"),
        ({}, "same recipe with the same seed"),
        ({"seed": 5}, "give runs of at least two recipes"),
    ],
)
def test_runs_that_cannot_be_compared(finished_run, tmp_path, changes, message):
    runs = [edited(finished_run, tmp_path / "a"), edited(finished_run, tmp_path / "b", **changes)]
    with pytest.raises(RunError, match=message):
        compare_runs(runs)


def test_runs_are_joined_by_the_ids_of_their_samples(finished_run, tmp_path):
    """Two samples that one run did not answer are left out and told, and the others are not shifted against each other."""
    whole, part = edited(finished_run, tmp_path / "a"), edited(finished_run, tmp_path / "b", asked="b", drop=2)
    reference, (comparison,), samples = compare_runs([whole, part])
    assert (comparison.difference.mean, reference.left_out) == (0.0, 2)
    assert reference.samples_text == f"{samples} test samples (without 2 that not every run predicted)"
    assert samples == (whole.read_predictions()["split"] == "test").sum() - 2


def test_without_a_test_part_they_are_validation_samples(finished_run, tmp_path):
    runs = [edited(finished_run, tmp_path / "a", test=False), edited(finished_run, tmp_path / "b", asked="b")]
    reference, _, samples = compare_runs(runs)
    assert reference.samples_text == f"{samples} validation samples"


def test_several_recipes_are_corrected_for_by_holm(finished_run, tmp_path):
    runs = [edited(finished_run, tmp_path / "a")]
    runs += [edited(finished_run, tmp_path / name, asked=name, predicted="nonsense") for name in ("b", "c")]
    _, found, _ = compare_runs(runs)
    assert [c.p_holm for c in found] == [min(1.0, 2 * c.difference.p) for c in found]
    assert {c.verdict for c in found} == {"not assessed"}  # of one seed


def group(right_SN):
    seeds, label_N = tuple(range(len(right_SN))), np.zeros(right_SN.shape[1], dtype=int)
    runs = tuple(seeds_of(np.where(right_SN, 0, 1), label_N))
    return Group("a", (), seeds, runs, "accuracy", right_SN.mean(axis=1), seconds=1.0)


def test_the_accuracy_of_one_seed_has_wilson_s_interval():
    right = np.array([[True] * 90 + [False] * 10])
    assert group(right).interval == pytest.approx(wilson_interval(90, 100))


@pytest.mark.parametrize("S", [1, 3, 5])
def test_all_right_is_not_certainly_right(S):
    """30 of 30, whatever the seeds: at least Wilson's interval of 30 samples."""
    low, high = group(np.ones((S, 30), dtype=bool)).interval
    assert high == pytest.approx(1.0)
    assert 0.85 < low <= wilson_interval(30, 30)[0] + 1e-9


def test_the_accuracy_of_several_seeds_covers_what_is_true_near_one_too():
    """Simulated runs of about 97 %, three seeds: samples of their own ease, and an answer's luck."""
    rng, held, ease = Rng(4), [], 2.6
    for number in range(400):
        sample_N = rng.batch("ease", number, np.arange(60)).normal()
        answer_SN = rng.batch("answer", number, np.arange(180)).normal().reshape(3, 60)
        low, high = group(sample_N + 0.7 * answer_SN + ease > 0).interval
        held.append(low <= stats.norm.cdf(ease / (1 + 0.7**2) ** 0.5) <= high)
    assert 0.92 <= np.mean(held) <= 1.0


# --- metrics that are no mean over samples ----------------------------------------------------------------------------
SHARES = (0.3, 0.25, 0.2, 0.15, 0.1)
CLASS_EASE = np.array([0.6, 0.3, 0.0, -0.3, -0.6])  # rare classes are harder


def answered(S, N, effect, seed_noise, number):
    """Class numbers that two recipes answer (S, N) each, and the true ones: as in `study`, seeds lucky with some classes."""
    rng, K = Rng(number), len(SHARES)
    label_N = np.searchsorted(np.cumsum(SHARES), (np.arange(N) + 0.5) / N)
    sample = rng.batch("sample", 0, np.arange(N))
    ease_N, taste_N = 1.6 * sample.normal() + 1.5 + CLASS_EASE[label_N], 0.6 * sample.normal()
    luck_S2N = seed_noise * rng.batch("seed", 0, np.arange(S)).normal((2, K))[:, :, label_N]
    draws = rng.batch("answer", 0, np.arange(S * N)).uniform(shape=(2, 2)).reshape(S, N, 2, 2)
    found = []
    for k in (0, 1):
        right_SN = draws[:, :, k, 0] < 1 / (1 + np.exp(-(ease_N + luck_S2N[:, k] + k * (effect + taste_N))))
        other_SN = (label_N + 1 + (draws[:, :, k, 1] * (K - 1)).astype(int)) % K
        found.append(np.where(right_SN, label_N, other_SN))
    return found[0], found[1], label_N


@functools.cache
def true_difference(effect, seed_noise):
    """In macro-F1, over all samples and seeds, by brute force."""
    a_SN, b_SN, label_N = answered(300, 8620, effect, seed_noise, 10**6)
    pairs = zip(seeds_of(a_SN, label_N), seeds_of(b_SN, label_N), strict=True)
    return np.mean([macro_f1(b) - macro_f1(a) for a, b in pairs])


@pytest.mark.slow
@pytest.mark.parametrize("S", [3, 5, 10])
@pytest.mark.parametrize("seed_noise", [0.05, 0.3])
@pytest.mark.parametrize("effect", [0.0, 0.6])
def test_the_jackknife_covers_what_is_true(S, seed_noise, effect):
    """Of 300 simulated comparisons with 431 samples of five uneven classes, 95 % intervals of the difference in macro-F1 hold the
    true one about 95 times in 100."""
    truth = true_difference(effect, seed_noise)
    found = [found_by("macro_f1", *answered(S, 431, effect, seed_noise, 1000 * S + number)) for number in range(300)]
    assert 0.90 <= np.mean([d.low <= truth <= d.high for d in found]) <= 0.99


@pytest.mark.parametrize("S", [1, 4])
def test_a_mean_left_out_sample_by_sample_has_its_plain_interval(S):
    """With a group for each sample the pseudo-values of accuracy are whether each sample is right."""
    a_SN, b_SN, label_N = answered(S, 60, 0.5, 0.3, 7)
    accuracy = METRICS["accuracy"]
    ours = jackknife_interval(accuracy.value, a_SN, b_SN, label_N, groups=60)
    plain = crossed_interval((b_SN == label_N).astype(float) - (a_SN == label_N))
    assert (ours.mean, ours.low, ours.high, ours.p) == pytest.approx((plain.mean, plain.low, plain.high, plain.p))
    if S > 1:
        assert found_by("accuracy", a_SN, b_SN, label_N) == about(accuracy, plain, 60)


def test_a_mean_left_out_group_by_group_has_the_interval_of_the_groups():
    a_SN, b_SN, label_N = answered(3, 60, 0.5, 0.3, 8)
    ours = jackknife_interval(METRICS["accuracy"].value, a_SN, b_SN, label_N, groups=20)
    right_SN = (b_SN == label_N).astype(float) - (a_SN == label_N)  # labels ascend: sample n is in group n % 20
    plain = crossed_interval(right_SN.reshape(3, 3, 20).mean(axis=1))
    assert (ours.mean, ours.low, ours.high) == pytest.approx((plain.mean, plain.low, plain.high))


def test_worst_class_by_hand():
    """Two classes of four; b is wrong on the first two of class 1: recall 1/2. Without a group (one of each class) it is 2/3 where
    the wrong one is gone, else 1/3."""
    label_N = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    b_N = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    found = jackknife_interval(worst_recall, label_N[None], b_N[None], label_N, groups=4)
    pseudo = [4 * -1 / 2 - 3 * d for d in (-1 / 3, -1 / 3, -2 / 3, -2 / 3)]
    assert found.mean == -0.5
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, 3) * stats.sem(pseudo))


def test_a_smaller_loss_helps():
    _, _, label_N = answered(1, 200, 0.0, 0.0, 9)
    guessed = np.full((200, 5), 0.2)
    worse = 3 * [evidence(guessed, label_N)]
    better = 3 * [evidence(0.5 * guessed + 0.5 * np.eye(5)[label_N], label_N)]
    found = difference(METRICS["log_loss"], worse, better)
    assert found.mean == pytest.approx(np.log(0.2) - np.log(0.6))
    assert found.verdict == "helps"
    assert difference(METRICS["log_loss"], better, worse).verdict == "hurts"


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_runs_are_those_they_wrote(finished_run, tmp_path, metric):
    runs = [edited(finished_run, tmp_path / "a"), edited(finished_run, tmp_path / "b", asked="b")]
    reference, (comparison,), _ = compare_runs(runs, metric)
    stored = runs[0].read_json(runs[0].metrics)["test"][metric]
    assert reference.value_S == pytest.approx([stored["recall"] if metric == "worst_class" else stored], abs=1e-4)
    assert (comparison.difference.mean, comparison.difference.verdict) == (0.0, "not assessed")
    assert (comparison.mcnemar is not None) == (metric == "accuracy")


def test_a_metric_that_is_none_names_the_nearest(finished_run):
    with pytest.raises(RunError, match="Did you mean 'macro_f1'"):
        compare_runs([RunFolder(finished_run)], "macro-f1")
