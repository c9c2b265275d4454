import numpy as np

from whet.core.batch import Progress
from whet.methods import SGD, Curriculum
from whet.methods.schedule.curriculum import ranks
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench
from whet.testing.samples import LABELS


def test_ranks_are_shares_of_the_own_class_that_are_easier():
    prob = np.array([0.9, 0.2, 0.5, 0.1, 0.8])
    label = np.array([0, 0, 0, 1, 1])
    assert np.allclose(ranks(prob, label), [0, 2 / 3, 1 / 3, 1 / 2, 0])


def test_an_epoch_shows_the_easy_ones_first_and_all_of_them_later():
    bench = make_bench((SGD(), Curriculum(first_share=0.5, full_at=0.5)))
    rank = bench.plan.net.get_buffer("curriculum_rank_N").numpy()
    first = bench.plan.order(Progress(0, 30, 3), LABELS)
    assert len(first) == len(LABELS)
    assert set(first) == set(np.flatnonzero(rank < 0.5))
    shares = [len(set(bench.plan.order(Progress(3 * epoch, 30, 3), LABELS))) for epoch in range(10)]
    assert shares == sorted(shares)
    assert shares[5] == len(LABELS)


def test_classes_keep_their_shares():
    bench = make_bench((SGD(), Curriculum(first_share=0.5)))
    first = bench.plan.order(Progress(0, 30, 3), LABELS)
    assert np.array_equal(np.bincount(LABELS[first]), np.bincount(LABELS))


def test_what_a_linear_classifier_gets_wrong_comes_last():
    """An image that bears another's label is among the hardest of its class."""
    import torch

    from whet.core.batch import Context, Features
    from whet.core.rng import Rng
    from whet.testing.samples import Images

    label = np.repeat([0, 1, 2], 20)
    features = np.eye(3)[label] * 4 + Rng(0).batch("f", 0, np.arange(60)).normal((3,)) * 0.5
    wrong = label.copy()
    wrong[[0, 25]] = [1, 2]
    targets = SINGLE_LABEL.targets(torch.from_numpy(wrong), 3)
    context = Context(
        "image-classification",
        ("a", "b", "c"),
        np.bincount(wrong),
        lambda: Features(torch.from_numpy(features).float(), targets, np.arange(60)),
    )
    method = Curriculum()
    net = method.change(Images.net(), context)
    method.initialise(net, context)
    rank = net.get_buffer("curriculum_rank_N").numpy()
    assert rank[0] > 0.9
    assert rank[25] > 0.9
