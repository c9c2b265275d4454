"""Several labels a sample: what is read as such, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from whet.core.errors import DataError, RecipeError
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.read import read_samples
from whet.tasks import MULTI_LABEL, SINGLE_LABEL

ROWS = [
    ("a b c", ["red"]),
    ("d e f", ["red", "blue"]),
    ("g h i", []),
    ("j k l", ["green"]),
    ("m n o", ["blue", "green"]),
]
CLASSES = ("blue", "green", "red")
TRUE = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)


def written(folder, form):
    """The same five texts, their labels in this form; and how to read them."""
    path, spec = folder / f"t.{'jsonl' if form == 'jsonl' else 'parquet' if form == 'parquet' else 'csv'}", {}
    if form == "jsonl":
        path.write_text("".join(json.dumps({"text": text, "label": names}) + "\n" for text, names in ROWS))
    elif form == "columns":
        cells = [[text, *(int(name in names) for name in CLASSES)] for text, names in ROWS]
        pd.DataFrame(cells, columns=["text", *CLASSES]).to_csv(path, index=False)
        spec = {"label_columns": CLASSES}
    elif form == "parquet":
        pytest.importorskip("pyarrow")
        pd.DataFrame(ROWS, columns=["text", "label"]).to_parquet(path)
    else:
        write = {"json": json.dumps, "python": str, "separator": " | ".join}[form]
        spec = {"label_separator": "|"} if form == "separator" else {}
        pd.DataFrame([(t, write(names)) for t, names in ROWS], columns=["text", "label"]).to_csv(path, index=False)
    return DataSpec(path=str(path), **spec)


@pytest.mark.parametrize("form", ["json", "python", "jsonl", "parquet", "separator", "columns"])
def test_every_form_says_the_same(tmp_path, form):
    table = read_samples(written(tmp_path, form))
    assert table.task == MULTI_LABEL
    assert table.classes == CLASSES
    assert (table.labels == TRUE).all() and table.labels.dtype == bool
    assert table.counts_K.tolist() == [2, 2, 2]
    assert table.targets.task == MULTI_LABEL and (table.targets.probs_BK.numpy() == TRUE).all()
    assert [table.cell_of(label) for label in table.label_N] == [
        '["red"]', '["blue", "red"]', "[]", '["green"]', '["blue", "green"]',
    ]  # fmt: skip
    assert table.text_of(table.label_N[1]) == "blue, red" and table.text_of(table.label_N[2]) == "no label"
    assert (table.with_frame(table.frame[2:4]).labels == TRUE[2:4]).all()


@pytest.mark.parametrize("form", ["json", "separator", "columns"])
def test_tables_of_files_too(images, form):
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))[:5]
    texts = written(images, form)
    frame = pd.read_csv(texts.path, keep_default_na=False).rename(columns={"text": "file"})
    frame["file"] = files
    frame.to_csv(texts.path, index=False)
    table = read_samples(texts)
    assert table.medium == "image" and table.frame["id"].tolist() == files
    assert (table.labels == TRUE).all()


def test_parts_of_audio_too(tmp_path):
    (tmp_path / "one.wav").write_bytes(b"any bytes")
    (tmp_path / "t.csv").write_text("file,start,end,dog,rain\none.wav,0,1,1,0\none.wav,1,2,1,1\none.wav,2,,0,0\n")
    table = read_samples(DataSpec(path=str(tmp_path / "t.csv"), label_columns=("rain", "dog")))
    assert table.medium == "audio" and table.classes == ("dog", "rain")
    assert table.labels.tolist() == [[1, 0], [1, 1], [0, 0]]
    assert set(table.frame["group"]) == {"one.wav"}


def test_a_label_called_na_is_a_label(images):
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))[:3]
    (images / "t.csv").write_text(f"file,label\n{files[0]},NA\n{files[1]},NA;b\n{files[2]},\n")
    table = read_samples(DataSpec(path=str(images / "t.csv"), label_separator=";"))
    assert table.classes == ("NA", "b") and table.labels.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_equal_label_sets_bear_one_number_however_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\none,b;a\ntwo, a ; b\nthree,b\n")
    table = read_samples(DataSpec(path=str(tmp_path / "t.csv"), label_separator=";"))
    assert table.label_N[0] == table.label_N[1] != table.label_N[2]


def test_one_class_a_sample_is_read_as_ever(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\none,red|blue\ntwo,[x]\nthree,\nfour,red|blue\n")
    table = read_samples(DataSpec(path=str(tmp_path / "t.csv")))  # no separator is guessed, and [x] is no list
    assert table.task == SINGLE_LABEL and table.set_SK is None
    assert table.classes == ("[x]", "red|blue")
    assert [entry.reason for entry in table.skipped] == ["no label"]
    assert (table.true_NK == np.array([[0, 1], [1, 0], [0, 1]])).all()
    assert table.targets.task == SINGLE_LABEL


def test_empty_and_doubled_names_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\none,a;;b\ntwo,a;b;a\nthree,\nfour,b;\n")
    table = read_samples(DataSpec(path=str(tmp_path / "t.csv"), label_separator=";"))
    assert table.labels.tolist() == [[1, 1], [1, 1], [0, 0], [0, 1]]
    assert "t.csv: row 3 names the same label twice: it counts once" in table.notes
    assert "t.csv: 2 rows, the first is 2, have an empty name: it is ignored" in table.notes


def test_a_null_in_a_column_of_lists_says_nothing(tmp_path):
    rows = [{"text": "one", "label": ["a"]}, {"text": "two", "label": None}, {"text": "three", "label": ["b"]}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read_samples(DataSpec(path=str(tmp_path / "t.jsonl")))
    assert len(table) == 2 and [(entry.id, entry.reason) for entry in table.skipped] == [("t.jsonl:2", "no label")]


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("text,label\none,\"[\"\"a\"\"]\"\ntwo,b\n", {}, r"t.csv, row 3: 'label' holds 'b', but other rows hold lists"),
        ("text,label\none,\"[[1], 2]\"\n", {}, r"t.csv, row 2: 'label' holds \[1\] in a list; accepted: a list of names"),
        ("text,a,b\none,1,0\ntwo,2,0\n", {"label_columns": ["a", "b"]}, r"row 3: 'a' holds '2'; accepted: 0 or 1"),
        ("text,a,b\none,1,\n", {"label_columns": ["a", "b"]}, r"row 2: 'b' is empty; accepted: 0 or 1"),
        ("text,a,b\none,1,0\n", {"label_columns": ["a", "c"]}, r"unknown column 'c' .*t.csv.* Accepted: a, b, text"),
        ("text,label\none,\ntwo,\n", {"label_separator": ";"}, r"no sample has a label"),
        ("text,label\none,a\ntwo,a\n", {"label_separator": ";"}, r"only one class found \('a'\)"),
    ],
)  # fmt: skip
def test_refused_with_row_column_value_and_what_is_accepted(tmp_path, text, spec, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_data(DataSpec(path=str(tmp_path / "t.csv"), **spec))


def test_class_folders_have_one_class_each(images):
    with pytest.raises(
        DataError, match=r"class folders define one class per sample; data.label_columns and data.label_sep"
    ):
        read_data(DataSpec(path=str(images), label_separator="|"))


def test_tables_of_one_folder_agree(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "one", "label": ["a"]}\n')
    (tmp_path / "test.jsonl").write_text('{"text": "two", "label": "a"}\n')
    with pytest.raises(DataError, match=r"train.jsonl holds lists of labels, but .*test.jsonl one class per row"):
        read_samples(DataSpec(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"label_columns": ["a", "b"], "label_separator": ";"},
            "label_columns replaces data.label_separ",
        ),
        ({"label_columns": ["a", "b", "a"]}, "label_columns names 'a' twice"),
        ({"label_columns": ["a"]}, "data.label_columns = .*at least 2"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(spec, message):
    with pytest.raises(RecipeError, match=message):
        DataSpec(**spec)


def test_recipes_write_only_what_is_asked_of_the_data():
    """What is not asked of how data are read is not written."""
    for key in (
        "label_sep",
        "label_columns",
        "files_root",
        "class_folder",
        "group_column",
        "split_column",
        "weight_column",
    ):
        assert key not in Recipe().to_yaml()
    asked = Recipe(data=DataSpec(label_columns=("a", "b")))
    assert asked.hash != Recipe().hash and Recipe.from_yaml(asked.to_yaml()) == asked
