import numpy as np

from whet.core.evidence import Predictions
from whet.tasks import MULTI_LABEL, SINGLE_LABEL
from whet.training.examples import chosen_rows


def single(probs, labels):
    probs = np.array(probs)
    return Predictions(
        SINGLE_LABEL, ("a", "b", "c"), np.array([str(i) for i in range(len(probs))]), np.array(labels), probs
    )


PROBS = [[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.45, 0.5, 0.05], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9]]


def test_the_margin_is_that_over_the_strongest_alternative():
    margin_NK = SINGLE_LABEL.margins(single(PROBS, [0, 0, 0, 1, 2]))
    assert np.allclose(margin_NK[2], [-0.05, 0.05, -0.45])
    assert ((margin_NK > 0).argmax(axis=1) == np.argmax(PROBS, axis=1)).all()


def test_right_wrong_and_unsure_of_a_class():
    evidence = single(PROBS, [0, 0, 0, 1, 2])
    found = chosen_rows(SINGLE_LABEL.margins(evidence)[:, 0], SINGLE_LABEL.members(evidence)[:, 0], 1)
    # 0 is right; 1 is labelled a and most confidently not predicted so (3 is predicted a with a smaller margin); 2 is nearest.
    assert found == {"right": [0], "wrong": [1], "unsure": [2]}


def test_no_sample_is_shown_twice_for_a_class():
    evidence = single(PROBS, [0, 0, 0, 1, 2])
    for k in range(3):
        found = chosen_rows(SINGLE_LABEL.margins(evidence)[:, k], SINGLE_LABEL.members(evidence)[:, k], 3)
        rows = [row for group in found.values() for row in group]
        assert len(rows) == len(set(rows))


def test_several_labels():
    labels = np.array([[True, False], [False, False]])
    evidence = Predictions(MULTI_LABEL, ("a", "b"), np.array(["0", "1"]), labels, np.array([[0.3, 0.1], [0.8, 0.2]]))
    assert np.allclose(MULTI_LABEL.margins(evidence), [[-0.4, -0.8], [0.6, -0.6]])
    assert chosen_rows(MULTI_LABEL.margins(evidence)[:, 0], labels[:, 0], 2)["wrong"] == [1, 0]  # the surest first
