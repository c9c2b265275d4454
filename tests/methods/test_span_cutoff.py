import numpy as np
import pytest
import torch
from tests.methods.test_token_mask import SPECIAL, ids, transformed

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.methods import SpanCutoff


def test_off_is_absence_and_missing_special_ids_are_an_error():
    x = ids([5, 3])
    rng = Rng(0).batch("span_cutoff", 0, np.arange(2))
    assert torch.equal(SpanCutoff(prob=0).transform_batch(x, rng), x)
    with pytest.raises(RecipeError, match="needs the special token ids"):
        SpanCutoff().transform_batch(x, rng)


@pytest.mark.parametrize(
    ("length", "fraction", "cut"), [(40, 0.15, 6), (40, 0.5, 20), (3, 0.1, 1), (1, 0.5, 0), (0, 0.5, 0)]
)
def test_one_run_of_the_right_length_becomes_padding(length, fraction, cut):
    x = ids([length] * 300, width=50)
    out = transformed(SpanCutoff(prob=1, fraction=fraction), x)
    starts = []
    for row, before in zip(out, x):
        gone = (row != before).nonzero()[:, 0].tolist()
        assert len(gone) == cut and gone == list(range(gone[0], gone[0] + cut) if gone else [])
        assert all(row[place] == 0 for place in gone) and all(1 <= place <= length for place in gone)
        starts += gone[:1]
    if cut:  # every place equally often
        assert set(starts) == set(range(1, length - cut + 2))


def test_the_share_of_texts_cut():
    x = ids([20] * 3000)
    out = transformed(SpanCutoff(prob=0.3), x)
    assert float((out != x).any(dim=1).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_a_sample_s_result_hangs_on_itself_alone():
    whole = transformed(SpanCutoff(prob=1, fraction=0.4), ids([20, 8, 30]))
    alone = transformed(SpanCutoff(prob=1, fraction=0.4), ids([8]), indices=[1])
    assert torch.equal(alone[0], whole[1, :10])
    assert SPECIAL.pad == 0
