"""What a cell of a table is, whatever wrote the table."""

import csv

import pytest

from whet.core.errors import DataError
from whet.data.cells import first_rows, read_cells


def cells(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return read_cells(path)


def rows(found):
    return [tuple(row) for row in found.frame.itertuples(index=False)]


def test_what_pandas_takes_for_missing_is_text(tmp_path):
    found = cells(tmp_path / "t.csv", "file,label\na,NA\nb,None\nc,null\nd,nan\ne,\n")
    assert found.frame["label"].tolist() == ["NA", "None", "null", "nan", ""]


@pytest.mark.parametrize(("between", "told"), [(";", "semicolons"), ("\t", "tabs"), (",", None)])
def test_a_csv_may_stand_between_semicolons_or_tabs(tmp_path, between, told):
    found = cells(
        tmp_path / "t.csv", f"text{between}label\na b{between}x\nc, d{between}y\n" if told else "text,label\na,x\n"
    )
    assert list(found.frame.columns) == ["text", "label"]
    assert any(f"separated by {told}" in note for note in found.notes) == bool(told)
    if told:
        assert rows(found) == [("a b", "x"), ("c, d", "y")]


def test_one_column_of_texts_stays_one_column(tmp_path):
    found = cells(tmp_path / "t.csv", 'text\na; b\n"c, d"\n')
    assert rows(found) == [("a; b",), ("c, d",)]


def lone_quotes(count=120, every=6):
    """A TSV as many tools write it: no quoting, and a quote at the start of a text now and then."""
    return [(f'"so he said {i}' if i % every == 0 else f"text {i}", "pos" if i % 2 else "neg") for i in range(count)]


def test_lone_quotes_of_a_tsv_are_plain_characters(tmp_path):
    """Read as RFC 4180 says, pairs of such quotes make the lines between them one cell, and the rows are fewer."""
    given = lone_quotes()
    text = "text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in given)
    assert len(list(csv.reader(text.splitlines(keepends=True), delimiter="\t"))) < 121
    found = cells(tmp_path / "t.tsv", text)
    assert rows(found) == given
    assert any("plain characters" in note for note in found.notes) and not found.warnings
    assert found.frame.index.tolist() == list(range(2, 122))


def test_quotes_around_whole_cells_of_a_tsv_are_taken_off(tmp_path):
    given = [('she said "no"', "a"), ("two\tcells", "b"), ("two\nlines", "c"), ('"', "d")]
    for some in (given[:1], given):
        with (tmp_path / "t.tsv").open("w", newline="") as handle:
            csv.writer(handle, delimiter="\t").writerows([("text", "label"), *some])
        assert rows(read_cells(tmp_path / "t.tsv")) == some


def test_rows_swallowed_by_a_cell_are_told(tmp_path):
    lines = [
        "id,text,label",
        '1,"open,pos',
        '2,close",neg',
        "3,fine,pos",
        "4,fine,neg",
        '5,"a comma, and',
        'a line",pos',
    ]
    found = cells(tmp_path / "t.csv", "\n".join(lines) + "\n")
    assert len(found.frame) == 4
    (warning,) = found.warnings
    assert "1 rows seem to contain further rows in one cell, the first in line 2" in warning


def test_ragged_rows_name_the_line(tmp_path):
    for suffix, between in ((".csv", ","), (".tsv", "\t"), (".csv", ";")):
        with pytest.raises(DataError, match=r":3: 3 cells in this row, 2 in the first"):
            cells(tmp_path / f"t{suffix}", between.join(("a", "b")) + "\n1" + between + "2\n1" + between * 2 + "3\n")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_first_rows_are_those_of_the_whole(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"t{suffix}"
    columns, given = ["text", "label"], [(f"text {i} é", "ab"[i % 2]) for i in range(50)]
    if suffix == ".parquet":
        pd = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pd.DataFrame(given, columns=columns).to_parquet(path)
    elif suffix == ".jsonl":
        path.write_text("".join(f'{{"text": "{a}", "label": "{b}"}}\n' for a, b in given))
    else:
        between = "," if suffix == ".csv" else "\t"
        path.write_text("".join(between.join(row) + "\n" for row in (columns, *given)))
    monkeypatch.setattr("whet.data.cells._HEAD_BYTES", 700)
    assert first_rows(path, 5) == (columns, [list(row) for row in given[:5]])
