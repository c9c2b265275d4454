"""Metrics where a sample may have several labels are scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.made_evidence import evidence

from whet.core.errors import RunError
from whet.core.evidence import pseudo_values
from whet.core.rng import Rng
from whet.evaluate.calibration import reliability
from whet.evaluate.compare import difference
from whet.evaluate.difference import crossed_interval
from whet.tasks import MULTI_LABEL, SINGLE_LABEL

CLASSES = tuple("abcde")


@pytest.fixture(scope="module")
def answers():
    """(probabilities, labels) of 300 samples and five labels of uneven frequency, right more often than not."""
    draws = Rng(5).batch("answers", 0, np.arange(300))
    true_NK = draws.uniform(shape=(5,)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05])
    return MULTI_LABEL.probabilities(1.5 * draws.normal((5,)) + 2 * true_NK - 1), true_NK


def measured(probs, true):
    return MULTI_LABEL.measure(evidence(probs, true, task=MULTI_LABEL))


@pytest.fixture(scope="module")
def found(answers):
    return measured(*answers)


def test_they_are_scikit_learn_s(answers, found):
    probs, true = answers
    predicted = probs > 0.5
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    assert found["hamming_accuracy"] == pytest.approx(1 - sk.hamming_loss(true, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(true, predicted, average="macro"))
    assert found["micro_f1"] == pytest.approx(sk.f1_score(true, predicted, average="micro"))
    assert found["balanced_accuracy"] == pytest.approx(sk.recall_score(true, predicted, average="macro"))
    assert found["mean_average_precision"] == pytest.approx(sk.average_precision_score(true, probs, average="macro"))
    losses = [sk.log_loss(true[:, k], probs[:, k]) for k in range(5)]
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    precision, recall, f1, support = sk.precision_recall_fscore_support(true, predicted, zero_division=0)
    for k, row in enumerate(found["per_class"]):
        assert (row["name"], row["samples"]) == (CLASSES[k], support[k])
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision[k], recall[k], f1[k]))
        (_, wrongly), (missed, _) = sk.multilabel_confusion_matrix(true, predicted)[k]
        assert (row["missed"], row["wrongly_predicted"]) == (missed, wrongly)
    assert found["worst_class"] == {"name": CLASSES[recall.argmin()], "recall": pytest.approx(recall.min())}
    assert "confusion" not in found


def test_the_calibration_error_is_that_of_decisions(answers, found):
    """By hand: every decision's confidence against how often such decisions are right, in 15 bins."""
    probs, true = answers
    sure, right = np.maximum(probs, 1 - probs).ravel(), ((probs > 0.5) == true).ravel()
    bins = np.minimum((15 * sure).astype(int), 14)
    gaps = [abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    assert found["calibration_error"] == pytest.approx(sum(gaps))
    assert len(reliability(np.stack([1 - probs.ravel(), probs.ravel()], axis=1), true.ravel())) == len(gaps)


def test_a_class_without_a_sample_counts_in_no_mean(answers):
    probs, true = answers
    without = true & (np.arange(5) != 2)
    here = measured(probs, without)
    assert here["per_class"][2]["recall"] is None and here["per_class"][2]["average_precision"] is None
    f1 = sk.f1_score(without, probs > 0.5, average=None)
    assert here["macro_f1"] == pytest.approx(np.delete(f1, 2).mean())


def test_samples_without_any_label_break_nothing():
    nothing = measured(np.full((4, 2), 0.1), np.zeros((4, 2), dtype=bool))
    assert nothing["accuracy"] == nothing["hamming_accuracy"] == nothing["micro_f1"] == 1
    assert nothing["macro_f1"] == 0 and nothing["worst_class"]["recall"] == 0


@pytest.mark.parametrize("name", MULTI_LABEL.metrics)
def test_the_metrics_to_compare_by_are_those_of_a_run(answers, found, name):
    seen = evidence(*answers, task=MULTI_LABEL)
    metric = MULTI_LABEL.metric(name)
    wanted = found["worst_class"]["recall"] if name == "worst_class" else found[name]
    assert metric.value(seen) == pytest.approx(wanted)
    assert metric.parts(seen).mean() == pytest.approx(wanted)
    same = difference(metric, [seen], [seen])
    assert same.mean == 0 and same.samples == 300


def test_a_metric_of_label_sets_is_refused_where_each_sample_has_one_class():
    with pytest.raises(RunError, match=r"'hamming_accuracy'.*accuracy, .*the samples have exactly one class each"):
        SINGLE_LABEL.metric("hamming_accuracy")


def test_a_mean_over_samples_has_groups_for_pseudo_values(answers):
    """Of a mean they are the groups' own means, dealt out by label set."""
    seen, hamming = evidence(*answers, task=MULTI_LABEL), MULTI_LABEL.metric("hamming_accuracy")
    by_group, by_sample = pseudo_values(hamming.value, seen), hamming.parts(seen)
    assert by_group.mean() == pytest.approx(by_sample.mean())
    assert crossed_interval(by_group[None]).high == pytest.approx(crossed_interval(by_sample[None]).high, abs=0.01)


def test_a_prediction_is_what_is_likelier_than_not_and_its_probability_that_of_all_decisions():
    predicted, confidence = MULTI_LABEL.prediction(np.array([0.9, 0.2, 0.6]), ("a", "b", "c"))
    assert predicted == ["a", "c"] and confidence == pytest.approx(0.9 * 0.8 * 0.6)
    assert MULTI_LABEL.prediction(np.array([0.1, 0.5]), ("a", "b")) == ([], pytest.approx(0.45))


def test_other_classes_cannot_be_joined_and_another_order_can():
    seen = evidence([[0.9, 0.2]], [[True, False]], ("b", "a"), MULTI_LABEL)
    found = MULTI_LABEL.with_classes(seen, ("a", "b"))
    assert found.labels.tolist() == [[False, True]] and found.probs_NK.tolist() == [[0.2, 0.9]]
    with pytest.raises(RunError, match="classes b, a cannot be read with a, b, c"):
        MULTI_LABEL.with_classes(seen, ("a", "b", "c"))
