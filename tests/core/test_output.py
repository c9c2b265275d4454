"""Nothing of a person's is deleted or written over, whatever folder or file is named."""

import re
from pathlib import Path

import pytest

from whet.core.errors import OutputError
from whet.core.output import (
    MARKER,
    claim,
    claim_file,
    empty,
    kind_of,
    put,
    remove,
    require_claimable,
    work_folder,
    write_whole,
)

SRC = Path(__file__).parents[2] / "src" / "whet"


def listed(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_or_empty_folder_is_claimed_and_claimed_again(tmp_path):
    for path in (tmp_path / "a" / "b", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert claim(path, "check").path == path
        (path / "report.html").write_text("ours")
        claim(path, "check")
        assert kind_of(path) == "check"


@pytest.mark.parametrize("file", ["notes.txt", ".hidden", "report.html", "images/a.jpg"])
def test_a_folder_that_holds_anything_else_is_refused(tmp_path, file):
    (tmp_path / "mine" / file).parent.mkdir(parents=True)
    (tmp_path / "mine" / file).write_text("mine")
    before = listed(tmp_path)
    with pytest.raises(OutputError, match=r"is not empty and was not written by whet"):
        claim(tmp_path / "mine", "check")
    assert listed(tmp_path) == before


def test_another_kind_or_a_file_is_refused(tmp_path):
    claim(tmp_path / "out", "check")
    with pytest.raises(OutputError, match=r"another kind of result \(check, not run\)"):
        claim(tmp_path / "out", "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        claim(tmp_path / "file", "run")


def test_a_broken_marker_is_no_marker(tmp_path):
    for text in ("", "[]", "{}", '{"kind": 3}', "\xff"):
        (tmp_path / MARKER).write_text(text)
        with pytest.raises(OutputError):
            claim(tmp_path, "run")


def test_the_data_are_never_an_output(tmp_path):
    """The folder is, lies in, or holds the data; also where a link leads there, and where it bears the marker."""
    data = tmp_path / "out" / "photos"
    (data / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)
    for path, reason in (
        (data, "is the data itself"),
        (tmp_path / "link", "is the data itself"),
        (data / "runs" / "one", "lies inside the data"),
        (tmp_path / "link" / "new", "lies inside the data"),
        (tmp_path / "out" / "x" / ".." / "photos" / "new", "lies inside the data"),
        (tmp_path / "out", "holds the data"),
    ):
        for given in (data, tmp_path / "link"):
            with pytest.raises(OutputError, match=reason):
                claim(path, "run", data=[given])
    write_whole(tmp_path / "out" / MARKER, '{"kind": "run"}')
    with pytest.raises(OutputError, match="holds the data"):
        claim(tmp_path / "out", "run", data=[data])
    table = tmp_path / "tables" / "t.csv"
    table.parent.mkdir()
    table.write_text("file,label\n")
    with pytest.raises(OutputError, match="holds the data"):
        claim(table.parent, "run", data=[table])
    claim(table.parent / "run-1", "run", data=[table])  # beside a table is not in it


def test_only_files_of_given_names_below_a_claimed_folder_are_removed(tmp_path):
    foreign = tmp_path / "foreign" / "step-1"
    foreign.mkdir(parents=True)
    (foreign / "state.json").write_text("mine")
    with pytest.raises(OutputError, match="nothing is deleted"):
        remove(foreign, "state.json")
    with pytest.raises(OutputError, match="nothing is deleted"):
        remove(foreign / "state.json")
    claim(tmp_path / "run", "run")
    for step in ("step-1", "step-2"):
        (tmp_path / "run" / step).mkdir()
        (tmp_path / "run" / step / "state.json").write_text("ours")
    (tmp_path / "run" / "step-1" / "notes.txt").write_text("mine")
    for step in ("step-1", "step-2", "step-3"):
        remove(tmp_path / "run" / step, "state.json", "*.safetensors")
    assert listed(tmp_path / "run").keys() == {MARKER, "step-1/notes.txt"}
    assert not (tmp_path / "run" / "step-2").exists()
    assert (foreign / "state.json").read_text() == "mine"


def test_a_folder_below_a_claimed_one_is_emptied_with_its_folders(tmp_path):
    claim(tmp_path / "run", "run")
    (tmp_path / "run" / "model" / "members" / "1").mkdir(parents=True)
    (tmp_path / "run" / "model" / "members" / "1" / "w").write_text("x")
    (tmp_path / "run" / "model" / "w").write_text("x")
    empty(tmp_path / "run" / "model")
    empty(tmp_path / "run" / "model")  # it does not exist any more
    assert not (tmp_path / "run" / "model").exists() and (tmp_path / "run").is_dir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "w").write_text("x")
    with pytest.raises(OutputError):
        empty(tmp_path / "mine")


def test_a_work_folder_is_put_in_its_place(tmp_path):
    place = tmp_path / "model"
    for content in ("first", "second"):
        with work_folder(place) as work:
            (work / "sub").mkdir()
            (work / "sub" / "weights").write_text(content)
            (work / "config").write_text(content)
            put(work, place, last="config")
        (place / "sub" / "mine").write_text("mine")
        assert listed(tmp_path).keys() == {"model/sub/weights", "model/config", "model/sub/mine"}
        assert (place / "sub" / "weights").read_text() == content


def test_leftovers_go_only_where_the_folder_is_ours(tmp_path):
    for parent, ours in ((tmp_path / "run", True), (tmp_path / "mine", False)):
        if ours:
            claim(parent, "run")
        for name in (".model.12-0", ".model.old", ".model.12"):
            (parent / name).mkdir(parents=True)
            (parent / name / "file").write_text("")
        with work_folder(parent / "model"):
            pass
        left = {path.name for path in parent.iterdir()} - {MARKER}
        assert left == {".model.old", ".model.12"} | (set() if ours else {".model.12-0"})


def test_a_file_is_written_over_only_by_force_and_an_input_never(tmp_path):
    out = tmp_path / "answers.csv"
    assert claim_file(out, inputs=["a text", "~nobody says", "x" * 5000, "*.jpg"]) == out
    out.write_text("text\nhello\n")
    with pytest.raises(OutputError, match="exists already"):
        claim_file(out)
    assert claim_file(out, inputs=["hello"], force=True) == out
    (tmp_path / "link.csv").symlink_to(out)
    for given in (out, tmp_path, tmp_path / "link.csv", tmp_path / "*.csv"):
        with pytest.raises(OutputError, match="is an input"):
            claim_file(out, inputs=[given], force=True)
    with pytest.raises(OutputError, match="is an input"):
        claim_file(tmp_path / "link.csv", inputs=[out], force=True)
    with pytest.raises(OutputError, match="does not exist"):
        claim_file(tmp_path / "missing" / "answers.csv")
    with pytest.raises(OutputError, match="is a folder"):
        claim_file(tmp_path)
    claim(tmp_path / "run", "run")
    (tmp_path / "run" / "predictions.csv").write_text("of the run")
    with pytest.raises(OutputError, match="belongs to"):
        claim_file(tmp_path / "run" / "predictions.csv", force=True)


# --- nobody else deletes, moves or writes -------------------------------------------------------------------------------
_DELETES = re.compile(
    r"rmtree|\.unlink\(|\.rmdir\(|os\.remove|os\.rename|os\.replace|shutil\.move|path\.rename\(|\bpath\.replace\(|beside\.replace\("
)
_MAY_DELETE = {
    "core/output.py",
    "data/store.py",  # the cache: files of its own suffix below a folder of its own
    "studies/ray_executor.py",  # the driver's sign beside a run
}
_WRITES = re.compile(
    r"write_text\(|write_bytes\(|save_file\(|copytree\(|copy\(.*path|open\([^)]*[\"'][wax]b?[\"']|soundfile\.write\(|\.to_csv\("
)
_MAY_WRITE = _MAY_DELETE | {
    # below a claimed folder, or into a work folder
    "core/run_folder.py",  # the lock
    "training/log.py", "training/checkpoint.py", "training/sample_files.py", "training/ensemble.py", "training/guard.py",
    "training/feature_map.py",
    "models/build.py", "models/hub.py", "models/hub_access.py", "models/hub_text.py", "models/tokens.py",
    # elsewhere
    "core/process.py",  # /dev/null
    "exporting/reference.py",  # a buffer in memory
    "data/audit/print_cache.py",  # the cache
}  # fmt: skip


def test_only_these_modules_delete_or_write():
    """A new place that deletes or writes is a decision: what it touches is ours by its marker, or listed here with the reason."""
    deletes, writes = set(), set()
    for path in sorted(SRC.rglob("*.py")):
        for line in path.read_text().splitlines():
            code = line.partition("#")[0]
            if _DELETES.search(code):
                deletes.add(path.relative_to(SRC).as_posix())
            if _WRITES.search(code):
                writes.add(path.relative_to(SRC).as_posix())
    assert deletes <= _MAY_DELETE
    assert writes <= _MAY_WRITE


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path):
    """Whoever asks, root too: permissions do not tell of a file system without room."""
    with pytest.raises(OutputError, match=r"/proc/self/run cannot be written: .*choose another --out"):
        require_claimable("/proc/self/run", "run")
    require_claimable(tmp_path / "new" / "run", "run")
    assert list(tmp_path.iterdir()) == []
