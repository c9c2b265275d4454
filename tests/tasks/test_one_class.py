import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from tests.made_evidence import decided, evidence

from whet.core.rng import Rng
from whet.evaluate.calibration import calibration_error, reliability
from whet.evaluate.rates import wilson_interval
from whet.tasks import SINGLE_LABEL
from whet.tasks.single_label import confusion, log_loss_N, macro_f1, softmax, worst_recall

CLASSES = ("a", "b", "c", "d")


def answers(N=300, seed=0, empty=None):
    rng = Rng(seed).batch("m", 0, np.arange(N))
    labels = rng.integers(4)
    if empty is not None:
        labels[labels == empty] = (empty + 1) % 4
    logits = rng.normal((4,)) + 1.2 * np.eye(4)[labels]
    return softmax(logits), labels


def test_they_are_scikit_learn_s():
    probs, labels = answers()
    found, predicted = SINGLE_LABEL.measure(evidence(probs, labels)), probs.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, probs))
    assert (np.array(found["confusion"]) == sk.confusion_matrix(labels, predicted)).all()
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted)
    for k, row in enumerate(found["per_class"]):
        values = (row["precision"], row["recall"], row["f1"], row["samples"])
        assert values == pytest.approx((precision[k], recall[k], f1[k], support[k]))
    assert found["worst_class"] == {"name": CLASSES[recall.argmin()], "recall": pytest.approx(recall.min())}


def test_metrics_of_class_numbers_are_scikit_learn_s():
    probs, labels = answers()
    predicted = probs.argmax(axis=1)
    seen = evidence(probs, labels)
    assert macro_f1(seen) == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert worst_recall(seen) == pytest.approx(sk.recall_score(labels, predicted, average=None).min())
    assert log_loss_N(seen).mean() == pytest.approx(sk.log_loss(labels, probs))
    few = labels < 2  # the others are never true, but are predicted
    assert macro_f1(seen.rows(few)) == pytest.approx(
        sk.f1_score(labels[few], predicted[few], average="macro", labels=[0, 1])
    )


def test_a_class_without_a_sample_counts_in_no_mean():
    probs, labels = answers(empty=2)
    found = SINGLE_LABEL.measure(evidence(probs, labels))
    assert found["per_class"][2]["recall"] is None
    seen = [0, 1, 3]
    assert found["macro_f1"] == pytest.approx(
        sk.f1_score(labels, probs.argmax(axis=1), average=None, labels=range(4))[seen].mean()
    )
    assert found["worst_class"]["name"] != "c"


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_known_values(successes, trials, low, high):
    """The examples of Newcombe 1998 (method 3)."""
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-4)


def test_wilson_covers():
    rng = Rng(1).batch("w", 0, np.arange(4000))
    hits = (rng.uniform(shape=(40,)) < 0.9).sum(axis=1)
    covered = np.mean([low <= 0.9 <= high for low, high in (wilson_interval(h, 40) for h in hits)])
    assert 0.93 < covered < 0.98


def test_no_trial_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 200), st.integers(0, 50))
def test_confusion_counts_every_sample_once(N, seed):
    probs, labels = answers(N, seed)
    assert confusion(probs.argmax(axis=1), labels, 4).sum() == N


def test_softmax_does_not_overflow():
    assert np.isfinite(softmax(np.array([[1e4, -1e4, 0.0]]))).all()


def test_calibration_of_known_gaps():
    """Two bins: 0.95 confident and always right; 0.65 confident and right half the time."""
    probs = np.array([[0.95, 0.05]] * 50 + [[0.65, 0.35]] * 50)
    labels = np.array([0] * 50 + [0, 1] * 25)
    assert calibration_error(probs, labels) == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert [b["count"] for b in reliability(probs, labels)] == [50, 50]


def test_certainty_falls_into_the_last_bin():
    assert reliability(np.array([[1.0, 0.0]]), np.array([0]))[0]["confidence"] == 1.0


def test_a_prediction_is_the_likeliest_class():
    assert SINGLE_LABEL.prediction(np.array([0.1, 0.9]), ("a", "b")) == ("b", 0.9)


def test_other_classes_are_put_in_their_order_and_unknown_ones_never_predicted():
    seen = evidence([[0.9, 0.1], [0.2, 0.8]], [0, 1], ("b", "a"))
    found = SINGLE_LABEL.with_classes(seen, ("a", "b", "c"))
    assert found.labels.tolist() == [1, 0] and found.predicted.tolist() == [1, 0]
    assert found.probs_NK.tolist() == [[0.1, 0.9, 0.0], [0.8, 0.2, 0.0]]


def test_mistakes_come_surest_first():
    found = SINGLE_LABEL.mistakes(decided([0, 1, 1], [0, 0, 1], 2))
    assert [(one.row, one.class_number, one.confidence) for one in found] == [(1, 1, 1.0)]
