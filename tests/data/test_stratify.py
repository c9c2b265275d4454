"""Every label has its share in every part, where a sample may have several."""

from pathlib import Path

import numpy as np
import pytest

from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data.labels import numbered
from whet.data.split import split_rows
from whet.data.stratify import deal_by_label
from whet.data.table import Table, make_frame

N, RATES = 600, np.array([0.5, 0.3, 0.1, 0.03])


def table(digests=None, groups=None, seed=0):
    """600 samples with four labels, the rarest in about 18 of them; many bear none."""
    true_NK = Rng(seed).batch("labels", 0, np.arange(N)).uniform(shape=(len(RATES),)) < RATES
    names = [tuple(f"c{k}" for k in np.flatnonzero(row)) for row in true_NK]
    classes, labels, set_SK = numbered(names)
    digests, groups = digests or [f"d{i}" for i in range(N)], groups or [""] * N
    rows = [
        {"id": f"{i}", "path": f"{i}", "label": label, "digest": d, "group": g}
        for i, (label, d, g) in enumerate(zip(labels, digests, groups))
    ]
    return Table(make_frame(rows), classes, Path("/"), set_SK=set_SK)


@pytest.mark.parametrize("seed", range(5))
def test_every_label_is_split_by_its_shares(seed):
    """To one sample and a half, the rarest too; chance would be off by more."""
    found = split_rows(table(seed=seed), DataSpec(split_seed=seed, val_fraction=0.2, test_fraction=0.3))
    for split, share in (("train", 0.5), ("val", 0.2), ("test", 0.3)):
        part = found.part(split)
        assert np.abs(part.counts_K - share * found.counts_K).max() <= 1.5
        assert abs(len(part) - share * N) <= 3
    assert any("stratified by every label" in note for note in found.notes)


def test_what_belongs_together_stays_together():
    digests = [f"d{i // 2}" for i in range(N)]  # pairs of copies, whose labels may differ
    groups = [f"g{i // 10}" if i < 200 else "" for i in range(N)]
    found = split_rows(table(digests, groups), DataSpec())
    frame = found.frame
    assert (frame.groupby("digest")["split"].nunique() == 1).all()
    assert (frame[frame["group"] != ""].groupby("group")["split"].nunique() == 1).all()
    assert np.abs(found.part("test").counts_K - 0.15 * found.counts_K).max() <= 4


def test_the_split_seed_matters_and_the_order_of_rows_does_not():
    one = split_rows(table(), DataSpec()).frame.set_index("id")["split"]
    assert (one != split_rows(table(), DataSpec(split_seed=1)).frame.set_index("id")["split"]).any()
    turned = table()
    turned = turned.with_frame(turned.frame.iloc[::-1])
    assert (split_rows(turned, DataSpec()).frame.set_index("id")["split"].loc[one.index] == one).all()


def test_a_label_of_one_sample_is_learnt_from():
    true_NK = np.zeros((20, 2), dtype=bool)
    true_NK[:10, 0], true_NK[7, 1] = True, True
    parts = deal_by_label(true_NK, np.arange(20), np.linspace(0, 1, 20), [0.2, 0.4, 0.4])
    assert parts[7] == 0
    assert np.bincount(parts).tolist() == [4, 8, 8]


def test_a_part_that_asks_for_nothing_gets_nothing():
    parts = deal_by_label(table().labels, np.arange(N), np.linspace(0, 1, N), [0.85, 0.0, 0.15])
    assert np.bincount(parts, minlength=3)[1] == 0
