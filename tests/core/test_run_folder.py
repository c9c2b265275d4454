import csv
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import RunError
from whet.core.run_folder import RunFolder, next_name, plain_cell, write_csv, write_whole


def test_next_name_never_takes_an_existing_one(tmp_path):
    assert next_name(tmp_path, "a b/ü").name == "a-b-1"
    (tmp_path / "a-1").mkdir()
    assert next_name(tmp_path, "a").name == "a-2"


def test_a_run_is_never_written_over(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    write_whole(folder.recipe, "x")
    with pytest.raises(RunError, match=r"unfinished; continue it with --resume"):
        RunFolder.create(tmp_path / "run")
    write_whole(folder.done, "")
    with pytest.raises(RunError, match=r"finished.*choose another --out"):
        RunFolder.create(tmp_path / "run")


def test_settings_that_never_resolved_do_not_hold_a_folder(tmp_path):
    """A run that ended before its recipe was resolved leaves the folder to the corrected command."""
    write_whole(RunFolder.create(tmp_path / "run").requested, "architecture: nonsense")
    RunFolder.create(tmp_path / "run")


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        RunFolder.create(tmp_path / "file" / "run")


def test_cells_that_look_like_formulas_are_quoted(tmp_path):
    cells = ["=1+1", "+x", "-x", "@x", "plain", "'kept", "a,b", 'q"q']
    write_csv(tmp_path / "t.csv", ["id"], [[cell] for cell in cells])
    with (tmp_path / "t.csv").open(newline="") as handle:
        written = [row["id"] for row in csv.DictReader(handle)]
    assert written == ["'=1+1", "'+x", "'-x", "'@x", "plain", "'kept", "a,b", 'q"q']


@given(st.text("'=+-@\t ab", max_size=6))
def test_a_cell_is_no_formula(text):
    assert plain_cell(text) in (text, f"'{text}")
    assert not plain_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path):
    """A second process is refused with the first one's number; after kill -9 the folder is free at once (promise T12)."""
    folder = RunFolder.create(tmp_path / "run")
    script = (
        "import sys; from whet.core.run_folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).lock():\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    with pytest.raises(RunError, match=f"process {holder.pid} on"), folder.lock():
        pass
    os.kill(holder.pid, 9)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with folder.lock():
        pass


def test_the_reason_of_a_failure_is_kept_until_the_next_attempt(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    with pytest.raises(RunError, match="no good"), folder.recording_failure():
        raise RunError("no good")
    assert folder.read_json(folder.failure)["reason"] == "no good"
    with folder.recording_failure():
        assert not folder.failure.exists()


def test_a_failure_that_cannot_be_recorded_is_still_the_one_that_is_raised(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    folder = RunFolder.create(tmp_path / "run")
    monkeypatch.setattr(RunFolder, "write_failure", full)
    with pytest.raises(RunError, match="the first error"), folder.recording_failure():
        raise RunError("the first error")
