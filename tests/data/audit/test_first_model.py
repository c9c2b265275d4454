"""The first model of very many samples."""

import numpy as np

from whet.core.rng import Rng
from whet.data.audit import first_model
from whet.data.audit.first_model import _learning, linear_probs


def test_few_samples_are_all_learnt_from():
    label_R = np.repeat([0, 1, 2], 40)
    assert _learning(label_R, np.arange(120) % 5).all()


def test_of_many_the_same_share_of_every_class_in_every_fold(monkeypatch):
    monkeypatch.setattr(first_model, "_LEARNT_FROM", 300)
    label_R = np.repeat([0, 1, 2], [2000, 990, 10])
    fold_R = np.arange(3000) % 5
    learn_R = _learning(label_R, fold_R)
    for k, each in ((0, 40), (1, 20), (2, 1)):
        for fold in range(5):
            assert abs(learn_R[(label_R == k) & (fold_R == fold)].sum() - each) <= 1
    assert (learn_R == _learning(label_R, fold_R)).all()


def test_a_model_of_some_answers_all(monkeypatch):
    monkeypatch.setattr(first_model, "_LEARNT_FROM", 200)
    label_R = np.arange(1000) % 3
    x_RD = Rng(0).batch("x", 0, np.arange(1000)).normal((4,)).astype(np.float32)
    x_RD[np.arange(1000), label_R] += 5
    probs_RK = linear_probs(x_RD, label_R, 3, np.arange(1000) // 3 % 5)
    assert probs_RK.shape == (1000, 3) and (probs_RK.argmax(axis=1) == label_R).mean() > 0.97
