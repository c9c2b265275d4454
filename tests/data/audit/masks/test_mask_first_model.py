"""Likely mask errors, from features that tell the classes with noise."""

import numpy as np
import pytest

from whet.core.language import Sentence
from whet.core.masks import IGNORE
from whet.core.rng import Rng
from whet.data.audit.masks.first_model import Cells, cell_shares, check_mask_errors, lean_N, out_of_fold

CLASSES, GRID, N = ("background", "can", "glass"), 8, 120
HOW = Sentence("by hand")


def masks():
    """A square object of either class on each image of 64 x 64, and what is wrong in every tenth: its class, or its place."""
    draws = Rng(0).batch("masks", 0, np.arange(N))
    y_N, x_N, k_N = draws.integers(4), draws.integers(4), 1 + draws.integers(2)
    true, given, wrong = np.zeros((N, 64, 64), np.uint8), np.zeros((N, 64, 64), np.uint8), np.zeros(N, bool)
    for n, (y, x, k) in enumerate(zip(8 * y_N, 8 * x_N, k_N)):
        true[n, y : y + 32, x : x + 32] = given[n, y : y + 32, x : x + 32] = k
        if n % 10 == 3:
            wrong[n] = True
            given[n] = np.where(true[n], 3 - k, 0) if n % 20 == 3 else np.roll(true[n], 16, axis=1)
    return true, given, wrong


def cells_of(true, given, noise=1.0):
    """Features: the class of the pixels in the cell's middle, spread over 12 numbers with noise."""
    sign_KD = np.sign(Rng(1).batch("code", 0, np.arange(3)).normal((12,)))
    middle_NP = true[:, 4::8, 4::8].reshape(len(true), -1)
    features = sign_KD[middle_NP] + noise * Rng(2).batch("noise", 0, np.arange(len(true))).normal((GRID * GRID, 12))
    shares, known = zip(*(cell_shares(one, (GRID, GRID), 3) for one in given))
    return Cells(features.astype(np.float16), np.stack(shares), np.stack(known))


def test_shares_of_cells_count_known_pixels():
    class_HW = np.zeros((4, 6), np.uint8)
    class_HW[:2, :2], class_HW[0, 2], class_HW[2:, 3:] = 1, 2, IGNORE
    shares_PK, known_P = cell_shares(class_HW, (2, 2), 3)
    assert known_P.tolist() == [1.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(shares_PK, [[1 / 6, 4 / 6, 1 / 6], [1, 0, 0], [1, 0, 0], [0, 0, 0]], atol=1e-6)


def test_wrong_masks_lean_away_and_are_listed():
    true, given, wrong = masks()
    cells, fold_N = cells_of(true, given), np.arange(N) % 5
    lean = lean_N(cells, out_of_fold(cells, fold_N))
    assert lean[wrong].min() > lean[~wrong].max()
    (finding,) = check_mask_errors(cells, fold_N, [f"{n}.png" for n in range(N)], CLASSES, HOW)
    assert finding.severity == "warning"
    assert {int(group[0][:-4]) for group in finding.groups} == set(np.flatnonzero(wrong).tolist())
    of = dict(zip((group[0] for group in finding.groups), finding.notes))
    k = int(true[3].max())
    assert of["3.png"].startswith(
        f"{CLASSES[3 - k]} in the mask, {CLASSES[k]} predicted on 2"
    )  # a quarter of the image


def test_nothing_is_listed_where_nothing_is_wrong():
    true, _, _ = masks()
    assert check_mask_errors(cells_of(true, true), np.arange(N) % 5, [str(n) for n in range(N)], CLASSES, HOW) == []


def test_a_weak_first_model_accuses_nobody():
    true, given, _ = masks()
    cells = cells_of(true, given, noise=30.0)
    (finding,) = check_mask_errors(cells, np.arange(N) % 5, [str(n) for n in range(N)], CLASSES, HOW)
    assert finding.severity == "fact"
    assert not finding.groups
    assert "no search for wrong masks" in finding.text


def test_an_image_is_predicted_by_the_others_alone():
    """Its own mask does not change its prediction."""
    true, given, _ = masks()
    cells, fold_N = cells_of(true, given), np.arange(N)
    other = Cells(cells.features_NPD, cells.shares_NPK.copy(), cells.known_NP)
    other.shares_NPK[7] = other.shares_NPK[7][:, ::-1]
    before, after = (out_of_fold(one, fold_N)[7] for one in (cells, other))
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_ignored_pixels_do_not_count():
    true, given, _ = masks()
    hidden = given.copy()
    hidden[3] = IGNORE
    cells = cells_of(true, hidden)
    assert lean_N(cells, out_of_fold(cells, np.arange(N) % 5))[3] == pytest.approx(0.0)
