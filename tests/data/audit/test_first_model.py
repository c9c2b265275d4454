"""The features made by hand, and the first model of very many samples."""

import numpy as np

from whet.core.rng import Rng
from whet.data.audit import first_model
from whet.data.audit.first_model import _learning, linear_probs
from whet.data.audit.handmade import handmade_features


def test_features_made_by_hand_are_what_they_are_said_to_be():
    """Left to right ever brighter, in one colour below: one direction, and known means, spreads and colours."""
    thumb = np.zeros((3, 48, 48, 3), dtype=np.uint8)
    thumb[0] = 4 * np.arange(48)[:, None]
    thumb[1] = (200, 100, 50)
    thumb[2] = Rng(0).batch("x", 0, np.arange(1)).uniform(0, 256, (48, 48, 3))[0]
    found = handmade_features(thumb)
    assert found.shape == (3, 288) and found.dtype == np.float32
    directions, mean, std, colours = np.split(found, [128, 176, 224], axis=1)
    directions = directions.reshape(3, 16, 8)
    assert (directions[0, :, 1:] == 0).all() and (directions[0, :, 0] > 0.9).all() and (directions[1] == 0).all()
    assert np.allclose(mean[1].reshape(16, 3), np.array([200, 100, 50]) / 255) and (std[1] == 0).all()
    assert np.flatnonzero(colours[1]).tolist() == [3 * 16 + 1 * 4 + 0] and colours[1].max() == 1
    cells = thumb.reshape(3, 4, 12, 4, 12, 3) / 255
    assert np.allclose(mean, cells.mean(axis=(2, 4)).reshape(3, -1), atol=1e-6)
    assert np.allclose(std, cells.std(axis=(2, 4)).reshape(3, -1), atol=1e-6)
    assert np.allclose(found[2], handmade_features(thumb[2:])[0])


def test_few_samples_are_all_learnt_from():
    label_R = np.repeat([0, 1, 2], 40)
    assert _learning(label_R, np.arange(120) % 5).all()


def test_of_many_the_same_share_of_every_class_in_every_fold(monkeypatch):
    monkeypatch.setattr(first_model, "_LEARNED_FROM", 300)
    label_R = np.repeat([0, 1, 2], [2000, 990, 10])
    fold_R = np.arange(3000) % 5
    learn_R = _learning(label_R, fold_R)
    for k, each in ((0, 40), (1, 20), (2, 1)):
        for fold in range(5):
            assert abs(learn_R[(label_R == k) & (fold_R == fold)].sum() - each) <= 1
    assert (learn_R == _learning(label_R, fold_R)).all()


def test_a_model_of_some_answers_all(monkeypatch):
    monkeypatch.setattr(first_model, "_LEARNED_FROM", 200)
    label_R = np.arange(1000) % 3
    x_RD = Rng(0).batch("x", 0, np.arange(1000)).normal((4,)).astype(np.float32)
    x_RD[np.arange(1000), label_R] += 5
    probs_RK = linear_probs(x_RD, label_R, 3, np.arange(1000) // 3 % 5)
    assert probs_RK.shape == (1000, 3) and (probs_RK.argmax(axis=1) == label_R).mean() > 0.97
