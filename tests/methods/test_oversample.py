import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.batch import Progress
from whet.core.errors import NoEffectError
from whet.methods import Oversample

LABELS = np.repeat([2, 0, 1], [10, 60, 25])


def rows(labels=LABELS):
    names = [f"r{n}" for n in range(len(labels))]
    return pd.DataFrame({"id": names, "label": labels, "digest": [f"d{n}" for n in range(len(labels))]})


@pytest.mark.parametrize(("share", "counts"), [(1.0, [60, 60, 60]), (0.5, [60, 30, 30]), (0.3, [60, 25, 18])])
def test_every_class_reaches_its_share_of_the_largest(share, counts):
    assert np.bincount(Oversample(share=share).select(rows())["label"]).tolist() == counts


@given(st.floats(0.2, 1.0))
def test_every_row_stays_and_the_rows_of_a_class_take_turns(share):
    chosen = Oversample(share=share).select(rows())
    pd.testing.assert_frame_equal(chosen.iloc[: len(LABELS)], rows())
    for _, members in chosen.groupby("label"):
        times = members["id"].value_counts()
        assert times.max() - times.min() <= 1


def test_who_takes_an_extra_turn_does_not_depend_on_the_order_of_the_rows():
    def extra(frame):
        return set(Oversample(share=0.3).select(frame).iloc[len(LABELS) :]["id"])

    assert extra(rows()) == extra(rows().iloc[::-1])


def test_classes_that_are_large_enough_are_told():
    with pytest.raises(NoEffectError, match="at least 10% of the samples of the largest"):
        Oversample(share=0.1).select(rows())


def test_a_repeated_sample_is_augmented_on_its_own_where_a_sampler_shows_the_same_twice():
    from whet.methods import BalancedSampler, Rotate
    from whet.testing.bench import make_bench

    def looks(method):
        """How many different images of the rare class an epoch shows, by the image they were made of."""
        bench = make_bench((method, Rotate()), labels=np.array([0] * 20 + [1] * 4))
        order = bench.plan.order(Progress(0, 9, 3), bench.labels)
        rendered = bench.render(order, 0)[bench.labels[order] == 1]
        return len(rendered), len(np.unique(rendered.reshape(len(rendered), -1), axis=0))

    assert looks(Oversample()) == (20, 20)
    assert looks(BalancedSampler()) == (12, 4)
