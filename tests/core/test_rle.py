import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from whet.core import rle
from whet.core.errors import DataError
from whet.core.masks import Layer

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def test_counts_run_down_the_columns():
    # Case 17: 2 x 3 pixels, counts 2 1 3: the first column is empty, the second begins with a one.
    counts = rle.from_coco({"size": [2, 3], "counts": [2, 1, 3]}, (2, 3))
    assert rle.decode_cropped(counts, (2, 3))[:2] == (0, 1)
    assert coco.decode({"size": [2, 3], "counts": counts}).tolist() == [[0, 1, 0], [0, 0, 0]]


@given(MASKS)
@settings(max_examples=200, deadline=None)
def test_a_mask_survives_both_forms(mask):
    counts = rle.encode(mask)
    runs = rle.runs_of(counts, mask.shape)
    assert rle.compressed(runs, mask.shape) == counts
    top, left, inner = rle.decode_cropped(counts, mask.shape)
    assert np.array_equal(Layer(0, top, left, inner).whole(mask.shape), mask)
    assert inner.size == 0 or (inner.any(axis=1)[[0, -1]].all() and inner.any(axis=0)[[0, -1]].all())
    assert runs[1::2].sum() == coco.area({"size": list(mask.shape), "counts": counts})


def test_long_runs():
    size = (3000, 4000)
    for runs in ([0, 12_000_000], [11_999_999, 1], [5_000_000, 1_000_000, 6_000_000]):
        assert rle.runs_of(rle.compressed(runs, size), size).tolist() == runs


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [3, 2], "counts": [2, 1, 3]}, r"size \[3, 2\], the image \[height, width\] = \[2, 3\]"),
        ({"size": [2, 3], "counts": [2, 1, 4]}, "sum to 7, the image has 2 x 3 = 6"),
        ({"size": [2, 3], "counts": [2, -1, 5]}, "non-negative"),
        ({"size": [2, 3], "counts": [2.5, 0.5, 3]}, "whole numbers"),
        ({"size": [2, 3], "counts": "21é"}, "not ASCII"),
        ({"size": [2, 3], "counts": "2 1"}, "compressed form"),
        ({"size": [2, 3], "counts": "oooooooooo0"}, "beyond any image"),
        ({"size": [2, 3], "counts": ""}, "sum to 0"),
        ({"size": [2, 3]}, "counts None"),
    ],
)
def test_damaged_counts_are_refused_before_they_are_decoded(segmentation, message):
    with pytest.raises(DataError, match=message):
        rle.from_coco(segmentation, (2, 3))


@given(st.binary(max_size=12))
@settings(max_examples=300, deadline=None)
def test_random_counts_are_read_or_refused(counts):
    try:
        runs = rle.runs_of(counts, (4, 5))
    except DataError:
        return
    assert runs.sum() == 20
    assert runs.min() >= 0
