import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.spec import DataSpec
from whet.data import read_data, split_rows
from whet.data.split import components, deal_complete_folds, deal_folds
from whet.data.split_files import apply_split_files
from whet.data.table import Table, make_frame


def table(counts, digests=None, groups=None, splits=None, root="/data"):
    from pathlib import Path

    rows = []
    for k, count in enumerate(counts):
        rows += [{"id": f"c{k}/{i}.png", "path": f"/data/c{k}/{i}.png", "label": k} for i in range(count)]
    frame = make_frame(rows)
    frame["digest"] = digests or [f"d{i}" for i in range(len(frame))]
    frame["group"] = groups or ""
    frame["split"] = splits or ""
    return Table(frame, tuple(f"c{k}" for k in range(len(counts))), Path(root))


@given(
    st.lists(st.integers(8, 60), min_size=2, max_size=5), st.floats(0.1, 0.3), st.floats(0.1, 0.3), st.integers(0, 5)
)
def test_every_class_is_split_by_its_shares(counts, val, test, seed):
    frame = split_rows(table(counts), DataSpec(val_fraction=val, test_fraction=test, split_seed=seed)).frame
    for k, count in enumerate(counts):
        part = frame[frame["label"] == k]["split"].value_counts()
        assert abs(part.get("test", 0) - test * count) <= 1
        assert abs(part.get("val", 0) - val * count) <= 1
        assert part.get("train", 0) >= 1


@given(st.integers(0, 1000))
def test_copies_and_groups_stay_on_one_side(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    digests = [f"d{n}" for n in rng.integers(0, 40, 60)]
    groups = [f"g{n}" if n < 4 else "" for n in rng.integers(0, 30, 60)]
    frame = split_rows(table([30, 30], digests, groups), DataSpec()).frame
    assert (frame.groupby("digest")["split"].nunique() == 1).all()
    assert (frame[frame["group"] != ""].groupby("group")["split"].nunique() == 1).all()


def test_a_new_file_does_not_reshuffle_the_old_ones():
    before = split_rows(table([100, 100]), DataSpec()).frame.set_index("digest")["split"]
    more = table([100, 101], [f"d{i}" for i in range(200)] + ["new"])
    after = split_rows(more, DataSpec()).frame.set_index("digest")["split"]
    assert (before != after.loc[before.index]).mean() < 0.03


def test_the_split_seed_matters_and_the_order_of_rows_does_not():
    one = split_rows(table([50, 50]), DataSpec()).frame
    assert (one["split"] != split_rows(table([50, 50]), DataSpec(split_seed=1)).frame["split"]).any()
    shuffled = table([50, 50])
    shuffled = shuffled.with_frame(shuffled.frame.iloc[::-1])
    again = split_rows(shuffled, DataSpec()).frame.set_index("id")["split"]
    assert (again.loc[one["id"]].to_numpy() == one["split"].to_numpy()).all()


def test_a_missing_part_comes_out_of_train():
    splits = (["train"] * 40 + ["test"] * 10) * 2
    found = split_rows(table([50, 50], splits=splits), DataSpec())
    frame = found.frame
    assert (frame["split"] == "test").sum() == 20
    assert (frame["split"] == "val").sum() == 12
    assert "12 of 80 samples (15%) held out from train" in found.notes[-1]


def test_rows_without_a_split_beside_others_are_left_out_and_counted():
    found = split_rows(
        table([10, 10], splits=(["train"] * 6 + ["val"] * 2 + [""] * 2) * 2), DataSpec(test_fraction=0.1)
    )
    assert "4 samples are in no split list" in found.notes[0]
    assert len(found) == 16


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: table([10, 10], splits=["val"] * 20), "none is train"),
        (lambda: table([10, 2], splits=["train"] * 10 + ["val"] * 2), "no training sample of class c1"),
        (lambda: table([1, 1]), "leave none for val"),
    ],
)
def test_splits_that_cannot_be_used(made, message):
    with pytest.raises(DataError, match=message):
        split_rows(made(), DataSpec())


# --- given lists ----------------------------------------------------------------------------------------------------
def write_lists(folder, lines):
    for part, text in lines.items():
        (folder / f"list_{part}.txt").write_text("\n".join(text) + "\n")


def parts(found):
    return found.frame.set_index("id")["split"].to_dict()


@pytest.mark.parametrize("names", ["list_{train,val,test}.txt", "list_*.txt", None])
def test_lists_by_pattern_and_by_name(tmp_path, names):
    write_lists(
        tmp_path, {"train": ["c0/0.png", "# a comment", "", "c1/0.png"], "val": ["./c0/1.png"], "test": ["c1\\1.png"]}
    )
    patterns = (
        (str(tmp_path / names),) if names else tuple(f"{p}={tmp_path}/list_{p}.txt" for p in ("train", "val", "test"))
    )
    found = apply_split_files(table([3, 2]), patterns)
    assert parts(found) == {
        "c0/0.png": "train",
        "c1/0.png": "train",
        "c0/1.png": "val",
        "c1/1.png": "test",
        "c0/2.png": "",
    }


def test_bare_names_and_class_numbers(tmp_path):
    made = table([1, 1])
    made = made.with_frame(made.frame.assign(id=["c0/a b.png", "c1/z.png"]))
    write_lists(tmp_path, {"train": ["a b.png 7", "z.png 9"]})
    assert set(parts(apply_split_files(made, (f"{tmp_path}/list_train.txt",))).values()) == {"train"}


def test_class_numbers_that_contradict_the_folders(tmp_path):
    write_lists(tmp_path, {"train": ["c0/0.png 1", "c1/0.png 1"]})
    with pytest.raises(DataError, match=r"list_train.txt:2: class 1 means 'c1' here, but 'c0' at .*list_train.txt:1"):
        apply_split_files(table([1, 1]), (f"{tmp_path}/list_train.txt",))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["c0/9.png"]}, r"list_train.txt:1: 'c0/9.png' is not among the samples"),
        ({"train": ["0.png"]}, r"2 samples have the name '0.png'"),
        (
            {"train": ["c0/0.png"], "val": ["c0/0.png"]},
            r"list_val.txt:1: c0/0.png is in val, but .*list_train.txt:1 puts it in train",
        ),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, lists, message):
    write_lists(tmp_path, lists)
    with pytest.raises(DataError, match=message):
        apply_split_files(table([2, 2]), tuple(f"{tmp_path}/list_{p}.txt" for p in lists))


@pytest.mark.parametrize(
    ("pattern", "message"), [("nowhere.txt", "does not exist"), ("trian=x.txt", "'trian' is not a split")]
)
def test_patterns_that_name_nothing(pattern, message):
    with pytest.raises(DataError, match=message):
        apply_split_files(table([1, 1]), (pattern,))


def test_a_list_whose_part_is_unknown(tmp_path):
    (tmp_path / "mine.txt").write_text("c0/0.png")
    with pytest.raises(DataError, match=r"the split is unknown; write train="):
        apply_split_files(table([1, 1]), (str(tmp_path / "mine.txt"),))


def test_a_table_of_splits(tmp_path):
    pd.DataFrame({"id": ["c0/0.png", "c1/0.png"], "split": ["train", "test"]}).to_csv(tmp_path / "s.csv", index=False)
    assert parts(apply_split_files(table([1, 1]), (str(tmp_path / "s.csv"),))) == {
        "c0/0.png": "train",
        "c1/0.png": "test",
    }


def test_the_authors_split_of_trashnet(shared):
    root = shared / "data" / "trashnet"
    spec = DataSpec(path=str(root), split_files=(str(root / "one-indexed-files-notrash_{train,val,test}.txt"),))
    found = read_data(spec)
    assert {split: len(found.part(split)) for split in ("train", "val", "test")} == {
        "train": 1768,
        "val": 328,
        "test": 431,
    }
    assert found.classes == ("cardboard", "glass", "metal", "paper", "plastic", "trash")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=5, max_size=80), st.integers(2, 6))
def test_folds_keep_units_together_and_classes_even(samples, folds):
    unit_N = np.array([unit for _, unit in samples])
    label_N = unit_N % 3  # a unit has one class
    fold_N = deal_folds(label_N, unit_N, folds)
    assert ((fold_N >= 0) & (fold_N < folds)).all()
    first = dict(zip(unit_N.tolist(), fold_N.tolist()))
    assert all(first[unit] == fold for unit, fold in zip(unit_N.tolist(), fold_N.tolist()))
    for k in range(3):
        units = {unit: fold for unit, fold in first.items() if unit % 3 == k}
        dealt = np.bincount(list(units.values()), minlength=folds) if units else np.zeros(folds)
        assert dealt.max() - dealt.min() <= 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=60), st.integers(2, 6))
def test_every_complement_holds_every_class_that_is_answered(samples, folds):
    label_N, unit_N = np.array(samples).T  # a unit may have several classes
    row_M, fold_M = deal_complete_folds(label_N, unit_N, folds)
    classes = set(label_N[row_M].tolist())
    assert len(classes) != 1
    for fold in np.unique(fold_M):
        assert set(label_N[row_M[fold_M != fold]].tolist()) == classes
    assert set(np.unique(fold_M).tolist()) == set(range(len(np.unique(fold_M))))


def test_a_class_that_is_all_one_thing_is_left_out():
    label_N = np.repeat([0, 1, 2], 10)
    unit_N = np.where(label_N == 2, 99, np.arange(30))
    row_M, _ = deal_complete_folds(label_N, unit_N, 5)
    assert row_M.tolist() == list(range(20))
    assert len(deal_complete_folds(label_N, np.zeros(30, int), 5)[0]) == 0


def test_components_are_what_links_join():
    number = components(6, np.array([[0, 3], [3, 5], [1, 2]]))
    assert number[0] == number[3] == number[5] != number[1] == number[2]
    assert len(set(number.tolist())) == 3


# --- the counts that are made -------------------------------------------------------------------------------------------
def counts(found):
    return found.frame["split"].value_counts().to_dict()


def test_many_small_classes_give_what_was_asked_for():
    """100 classes of ten: 1.5 of each, so one of some and two of others."""
    found = split_rows(table([10] * 100), DataSpec())
    assert counts(found) == {"train": 700, "val": 150, "test": 150}
    assert "no val split was given: 150 of 1,000 samples (15%) held out" in found.notes[0]
    assert not found.warnings


def test_classes_of_three_are_split_and_what_is_lacking_is_told():
    found = split_rows(table([3] * 500), DataSpec())
    made = counts(found)
    assert made["train"] == 1000 and abs(made["val"] - made["test"]) <= 1
    assert (found.part("train").counts_K == 2).all()
    assert any(f"{made['test']} of 1,500 samples (17%, 15% requested)" in note for note in found.notes)
    assert any("of 500 classes have no validation sample: c" in text for text in found.warnings)


def test_rare_classes_of_a_long_tail_are_told():
    sizes = [max(1, 3000 // (k + 1) ** 2) for k in range(300)]
    found = split_rows(table(sizes), DataSpec())
    assert abs(counts(found)["test"] / sum(sizes) - 0.15) < 0.02
    lacking = int((found.part("test").counts_K == 0).sum())
    assert lacking > 150 and any(f"{lacking} of 300 classes have no test sample" in text for text in found.warnings)


@pytest.mark.parametrize("units", [2, 3, 5, 8])
@pytest.mark.parametrize("size", [1, 12])
def test_few_groups_of_a_class_can_be_trained_on(units, size):
    """Eight recordings cut into parts, five patients a class: a unit is placed where that is nearer, at least one a class."""
    groups = [f"c{k}g{u}" for k in range(3) for u in range(units) for _ in range(size)]
    found = split_rows(table([units * size] * 3, groups=groups), DataSpec())
    frame = found.frame
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    assert (found.part("train").counts_K > 0).all()
    assert (frame[frame["split"] != "train"].groupby("label")["group"].nunique() >= (1 if units <= 3 else 2)).all()
    for part in ("val", "test"):
        assert np.abs(found.part(part).counts_K - 0.15 * units * size).max() <= size
    assert set(frame["split"]) == {"train", "val", "test"}
    if units >= 5:
        assert (found.part("val").counts_K > 0).all() and (found.part("test").counts_K > 0).all()
        assert not found.warnings


@pytest.mark.parametrize("speakers", [3, 4, 6])
def test_groups_that_hold_every_class(speakers):
    """Each speaker says all words: few large groups of mixed classes."""
    groups = [f"g{i % speakers}" for _ in range(5) for i in range(12)]
    found = split_rows(table([12] * 5, groups=groups), DataSpec())
    assert (found.frame.groupby("group")["split"].nunique() == 1).all()
    assert found.frame.groupby("split")["group"].nunique().to_dict() == {"test": 1, "train": speakers - 2, "val": 1}
    share = round(100 / speakers)
    assert sum(f"({share}%, 15% requested)" in note for note in found.notes) == 2


def test_two_groups_leave_one_to_validate_by_and_the_missing_test_is_told():
    groups = [f"g{i % 2}" for _ in range(3) for i in range(10)]
    found = split_rows(table([10] * 3, groups=groups), DataSpec())
    assert counts(found) == {"train": 15, "val": 15}
    assert any("no test split was given: 0 of 30 samples (0%, 15% requested)" in note for note in found.notes)


def test_one_group_a_class_leaves_nothing_and_says_why():
    with pytest.raises(DataError, match="copies and groups stay together, and each class keeps one of them"):
        split_rows(table([10] * 3, groups=[f"g{k}" for k in range(3) for _ in range(10)]), DataSpec())
