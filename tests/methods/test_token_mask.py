import numpy as np
import pytest
import torch

from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.core.stages import TransformsBatch
from whet.core.tokens import NeedsSpecialIds, SpecialIds
from whet.methods import TokenMask

SPECIAL = SpecialIds(pad=0, unknown=1, mask=2, frame=frozenset({3, 4}))


def ids(lengths, width=None):
    """Rows of 3, text, 4, padding."""
    width = max(lengths) + 2 if width is None else width
    rows = torch.zeros((len(lengths), width), dtype=torch.int64)
    for row, n in zip(rows, lengths):
        row[0], row[1 : n + 1], row[n + 1] = 3, torch.arange(10, 10 + n), 4
    return rows


def transformed(method, ids_BL, indices=None, special=SPECIAL):
    rng = Rng(0).batch(method.name, 0, np.arange(len(ids_BL)) if indices is None else indices)
    return method.with_special_ids(special).transform_batch(ids_BL, rng)


def test_off_is_absence_and_missing_special_ids_are_an_error():
    x = ids([5, 3])
    rng = Rng(0).batch("token_mask", 0, np.arange(2))
    assert torch.equal(TokenMask(fraction=0).transform_batch(x, rng), x)
    with pytest.raises(RecipeError, match="needs the special token ids"):
        TokenMask().transform_batch(x, rng)
    informed = TokenMask(fraction=0.5).with_special_ids(SPECIAL)
    assert isinstance(informed, NeedsSpecialIds) and isinstance(informed, TransformsBatch) and informed.fraction == 0.5
    assert informed.settings_dict() == {"fraction": 0.5}


def test_the_share_hidden_and_what_stays():
    x = ids([200] * 100 + [100] * 100)
    kept = x.clone()
    out = transformed(TokenMask(fraction=0.15), x)
    assert torch.equal(x, kept) and out.dtype == x.dtype
    text = SPECIAL.in_text(x)
    assert int(text.sum()) == 200 * 100 + 100 * 100
    assert float((out[text] == 2).float().mean()) == pytest.approx(0.15, abs=0.01)
    assert torch.equal(out[~text], x[~text]) and torch.equal(out[out != 2], x[out != 2])


def test_a_sample_s_result_hangs_on_itself_alone():
    whole = transformed(TokenMask(fraction=0.4), ids([20, 8, 30]))
    alone = transformed(TokenMask(fraction=0.4), ids([8]), indices=[1])
    assert torch.equal(alone[0], whole[1, :10])


def test_a_tokenizer_without_a_mask_token_hides_behind_unknown():
    out = transformed(TokenMask(fraction=1), ids([4]), special=SpecialIds(0, 1, None, frozenset({3, 4})))
    assert out.tolist() == [[3, 1, 1, 1, 1, 4]]
