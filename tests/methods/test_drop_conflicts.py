import pandas as pd
import pytest

from whet.core.errors import DataError, NoEffectError
from whet.methods import DropConflicts, Oversample
from whet.training.plan import select_rows


def rows(pairs):
    names = [f"r{n}" for n in range(len(pairs))]
    return pd.DataFrame({"id": names, "digest": [d for d, _ in pairs], "label": [k for _, k in pairs]})


def test_all_bearers_of_two_labels_go_and_honest_twins_stay():
    given = rows([("a", 0), ("b", 0), ("a", 1), ("c", 1), ("b", 0), ("a", 0), ("d", 1)])
    assert DropConflicts().select(given)["id"].tolist() == ["r1", "r3", "r4", "r6"]


def test_no_conflict_is_told():
    with pytest.raises(NoEffectError, match="identical content and different labels"):
        DropConflicts().select(rows([("a", 0), ("a", 0), ("b", 1)]))


def test_a_class_that_would_vanish_is_an_error():
    with pytest.raises(DataError, match="no training sample of class number 1"):
        DropConflicts().select(rows([("a", 0), ("a", 1), ("b", 0)]))


def test_conflicts_go_before_rows_are_repeated_however_the_recipe_lists_them():
    given = rows([("a", 0), ("a", 1), ("b", 0), ("c", 0), ("d", 0), ("e", 1)])
    for methods in ((Oversample(), DropConflicts()), (DropConflicts(), Oversample())):
        chosen, notes = select_rows(methods, given)
        assert chosen["label"].tolist() == [0, 0, 0, 1, 1, 1]
        assert "a" not in set(chosen["digest"])
        assert notes == [
            "drop_conflicts: 6 training rows became 4",
            "oversample: 4 training rows became 6",
        ]
