import numpy as np
import pytest
from tests.methods.texts import augmented

from whet.methods import TextMerge
from whet.methods.augment_text.text_merge import partners

TEXTS = ["a0", "b0", "a1", "c0", "b1", "a2"]
LABELS = np.array([0, 1, 0, 2, 1, 0])


def test_off_and_without_labels_nothing_happens():
    assert augmented(TextMerge(prob=0), TEXTS, LABELS) == TEXTS
    assert augmented(TextMerge(prob=1), TEXTS) == TEXTS


def test_joins_another_text_of_the_same_class_where_there_is_one():
    seen = set()
    for epoch in range(60):
        outs = augmented(TextMerge(prob=1), TEXTS, LABELS, epoch=epoch)
        for own, label, out in zip(TEXTS, LABELS, outs):
            if label == 2:
                assert out == own  # alone in its class
                continue
            first, second = out.split()
            assert first == own != second and second[0] == own[0]
            seen.add(second)
    assert seen == {"a0", "a1", "a2", "b0", "b1"}


def test_the_same_batch_gives_the_same_and_order_within_it_does_not_matter():
    one = augmented(TextMerge(prob=1), TEXTS, LABELS)
    back = augmented(TextMerge(prob=1), TEXTS[::-1], LABELS[::-1], indices=np.arange(6)[::-1])
    assert one == augmented(TextMerge(prob=1), TEXTS, LABELS) == back[::-1]


def test_the_share_joined():
    texts, labels = ["x"] * 4000, np.arange(4000) % 2
    joined = np.mean([out == "x x" for out in augmented(TextMerge(prob=0.3), texts, labels)])
    assert joined == pytest.approx(0.3, abs=0.03)


def test_copies_of_a_sample_get_the_same_partner_and_never_each_other():
    texts, labels = ["a0", "a1", "a2"] * 2, np.zeros(6, dtype=int)
    outs = augmented(TextMerge(prob=1), texts, labels, indices=[0, 1, 2] * 2, copies=np.repeat([0, 1], 3))
    assert outs[:3] == outs[3:] and all(len(set(out.split())) == 2 for out in outs)


def test_unlabelled_samples_stay_and_batches_may_be_empty():
    assert augmented(TextMerge(prob=1), ["u", "v"], np.array([-1, -1])) == ["u", "v"]
    assert augmented(TextMerge(prob=1), [], np.array([], dtype=int)) == []
    assert partners(np.array([3, 3]), np.array([0.1, 0.2]), np.array([0, 0])).tolist() == [1, 0]


def test_chinese_is_joined_without_a_space():
    assert augmented(TextMerge(prob=1), ["好。", "坏。"], np.array([0, 0])) == ["好。坏。", "坏。好。"]
