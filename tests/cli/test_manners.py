"""What every command keeps to: nothing of a person's is lost, JSON is JSON, text is shown as it is, results are on stdout."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import train_small, whet, write_images

import whet as package
from whet.core.errors import OutputError
from whet.core.output import MARKER

NAMES = ("[/x]", "[red]", "=1+1")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A run, and a second one, whose classes and files are named as markup and as a formula."""
    root = tmp_path_factory.mktemp("odd [bold]")
    for k in range(len(NAMES)):
        (root / "data" / k_folder(k)).mkdir(parents=True)
        for path in sorted(write_images(root / "made", {str(k): 16}).rglob("*.*")):
            shutil.copy(path, root / "data" / k_folder(k) / f"[i]{path.stem}{path.suffix}")
        shutil.rmtree(root / "made")
    # A folder cannot be named [/x]: a table says the class.
    lines = ["file,label"] + [
        f'"{path.relative_to(root / "data").as_posix()}","{NAMES[k]}"'
        for k in range(3)
        for path in sorted((root / "data" / k_folder(k)).iterdir())
    ]
    (root / "data" / "table.csv").write_text("\n".join(lines) + "\n")
    for number, recipe in ((1, "image/from_scratch"), (2, "image/plain_from_scratch")):
        done = train_small(root / "data" / "table.csv", root / f"run{number}", "--recipe", recipe)
        assert done.returncode == 0, done.stderr
        assert re.search(r"[0-9.]+ % right on [0-9]+ test samples", done.stdout)
    return root


def k_folder(k: int) -> str:
    return f"[{k}]"


# --- nothing is lost --------------------------------------------------------------------------------------------------
def test_check_never_touches_the_data_or_a_foreign_folder(images, tmp_path):
    """`check photos/images --out photos` once deleted the images."""
    photos = tmp_path / "photos"
    photos.mkdir()
    images.rename(photos / "images")
    before = contents(photos)
    for out in (photos, photos / "images", photos / "images" / "new", photos / "images" / "glass"):
        done = whet("check", photos / "images", "--out", out)
        assert done.returncode == 1 and "choose a" in done.stderr
        assert contents(photos) == before


def test_check_writes_over_an_earlier_check_only_by_force_and_keeps_what_is_not_its_own(images, tmp_path):
    (images / "metal" / "twin.png").write_bytes((images / "glass" / "000.png").read_bytes())
    out = tmp_path / "out"
    assert whet("check", images, "--out", out).returncode == 0
    shown = sorted(path.name for path in (out / "images").iterdir())
    assert shown
    (out / "images" / "mine.jpg").write_text("mine")
    (out / "cleaned.csv").write_text("edited by hand")
    again = whet("check", images, "--out", out)
    assert again.returncode == 1 and "--force" in again.stderr
    assert (out / "cleaned.csv").read_text() == "edited by hand"
    (images / "metal" / "twin.png").unlink()
    assert whet("check", images, "--out", out, "--force").returncode == 0
    left = {path.name for path in (out / "images").iterdir()}
    written = json.dumps(json.loads((out / "check.json").read_text())["findings"])
    assert left == {"mine.jpg", *(name for name in shown if f'"{name}"' in written)}


@pytest.mark.parametrize("command", ["train", "study", "tune", "improve", "compare"])
def test_a_folder_with_anything_in_it_is_no_output(images, tmp_path, command):
    """`train --out .` once wrote over model/, metrics.json and report.html, and removed checkpoints."""
    mine = tmp_path / "mine"
    for name in ("metrics.json", "report.html", "model/notes.txt", "checkpoints/step-00000001/thesis.txt"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("mine")
    before = contents(tmp_path)
    words = ["--architectures", "lenet"] if command == "compare" else []
    for out, cwd in ((mine, tmp_path), (Path("."), mine), (images, tmp_path), (images / "runs", tmp_path)):
        done = whet(command, images, "--budget", "1ep", "--out", out, *words, cwd=cwd)
        assert done.returncode == 1 and "choose a" in done.stderr, done.stderr
        assert contents(tmp_path) == before


def test_a_run_is_not_written_into_its_data_unasked(images):
    """The default runs/ would lie among the class folders."""
    before = contents(images)
    for command in ("train", "improve", "study"):
        done = whet(command, ".", "--budget", "1ep", cwd=images)
        assert done.returncode == 1
        assert "lies inside the data" in done.stderr and "--out outside" in done.stderr
    assert contents(images) == before


def test_settings_that_make_no_sense_claim_no_folder(images, tmp_path):
    before = contents(tmp_path)
    for words in (("--architecture", "nonsense"), ("--architecture", "lenet", "--set", "train.precision=fp8")):
        bad = whet("train", images, "--out", tmp_path / "out", "--budget", "1ep", *words, cwd=tmp_path)
        assert bad.returncode == 1
        assert contents(tmp_path) == before and not (tmp_path / "out").exists()
    assert train_small(images, tmp_path / "out", budget="1ep").returncode == 0


def test_a_file_in_the_checkpoints_outlives_them(tmp_path):
    from whet.core.output import claim
    from whet.training.checkpoint import checkpoints, prune, write_checkpoint

    parent = claim(tmp_path / "run", "run").path / "checkpoints"
    for step in (1, 2, 3):
        write_checkpoint(parent, step, {}, {})
    (parent / "step-00000001" / "thesis.txt").write_text("mine")
    (parent / "step-1").mkdir()
    (parent / "step-1" / "state.json").write_text("mine")
    prune(parent, 1, None)
    assert [path.name for path in checkpoints(parent)] == ["step-00000003"]
    assert {path.read_text() for path in parent.rglob("*") if path.is_file() and "0003" not in str(path)} == {"mine"}


def test_an_answer_file_is_never_an_input_and_its_folder_is_looked_for_first(odd, tmp_path, monkeypatch):
    table = odd / "data" / "table.csv"
    before = contents(odd)
    run = odd / "run1"
    monkeypatch.setattr("whet.run.Run.predict", lambda *values: pytest.fail("worked before it looked"))
    for word in (table, odd / "data", "*.csv"):
        for force in ((), ("--force",)):
            done = whet("predict", run, word, "--out", table, *force, cwd=odd / "data")
            assert done.returncode == 1 and "is an input" in done.stderr
    done = whet("predict", run, odd / "data", "--out", tmp_path / "missing" / "a.csv")
    assert done.returncode == 1 and "missing does not exist" in done.stderr
    (tmp_path / "a.csv").write_text("mine")
    done = whet("predict", run, odd / "data", "--out", tmp_path / "a.csv")
    assert done.returncode == 1 and "exists already" in done.stderr
    done = whet("predict", run, odd / "data", "--out", run / "predictions.csv", "--force")
    assert done.returncode == 1 and "belongs to" in done.stderr
    assert contents(odd) == before


def test_a_sheet_is_not_put_among_the_data(images):
    before = contents(images)
    done = whet("augment", ".", cwd=images)
    assert done.returncode == 1 and "lies inside the data" in done.stderr
    assert contents(images) == before


def test_report_writes_only_where_whet_wrote(tmp_path):
    for name in ("study.json", "report.html", "requested.yaml"):
        (tmp_path / name).write_text("{}")
    before = contents(tmp_path)
    assert whet("report", tmp_path).returncode == 1
    assert contents(tmp_path) == before


def test_from_python_too(images, tmp_path):
    with pytest.raises(OutputError, match="holds the data"):
        package.check(images, out=tmp_path)
    with pytest.raises(OutputError, match="inside the data"):
        package.train(images, out=images / "run")
    assert not list(tmp_path.rglob(MARKER))


# --- JSON -----------------------------------------------------------------------------------------------------------
def strictly(text: str):
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_json_in_every_quick_command(odd, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    one, two, table = odd / "run1", odd / "run2", odd / "data" / "table.csv"
    image = odd / "data" / k_folder(0)
    answers = strictly(whet("predict", one, broken, image, "--json").stdout)
    assert answers[0]["confidence"] is None and answers[0]["error"] and answers[1]["confidence"] > 0
    for words in (
        ("check", table), ("evaluate", one), ("evaluate", one, table), ("compare", one, two), ("report", one), ("methods",),
        ("methods", "mixup"), ("methods", "--recipes"), ("explain", one, image, broken, "--out", tmp_path / "e.html"),
        ("augment", table, "--out", tmp_path / "s.png"), ("ensemble", one, two, "--out", tmp_path / "both"),
        ("export", one, "--out", tmp_path / "bundle"),
    ):  # fmt: skip
        done = whet(*words, "--json")
        assert done.returncode == 0, done.stderr
        assert strictly(done.stdout)
    for path in [*one.rglob("*.json"), *(tmp_path / "both").rglob("*.json"), *(tmp_path / "bundle").rglob("*.json")]:
        strictly(path.read_text())
    for line in (one / "log.jsonl").read_text().splitlines():
        strictly(line)


def test_nothing_else_encodes_what_leaves_the_process():
    """A new use of json.dumps is a decision: hashes, what only we read back, cells of a table, and the script of a bundle, which
    stands alone."""
    inner = {
        "bundle/predict.py",
        "core/output.py", "core/strict_json.py", "core/labels.py", "core/recipe.py", "data/table.py", "data/audit/unlabelled.py",
        "training/checkpoint.py",
        "training/subprocess_run.py", "tuning/space.py", "methods/augment_image/albumentations.py", "models/build.py",
        "models/hub.py", "models/hub_text.py", "models/tokens.py",
    }  # fmt: skip
    source = Path(package.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"(?<!strict_)json\.dump", path.read_text())
    }
    assert found <= inner


# --- text as it is ----------------------------------------------------------------------------------------------------
def test_names_are_shown_as_they_are_in_every_command(odd, tmp_path):
    one, two, table = odd / "run1", odd / "run2", odd / "data" / "table.csv"
    for words in (("evaluate", one), ("evaluate", one, table), ("check", table)):
        done = whet(*words)
        assert done.returncode == 0, done.stderr
        assert all(name in done.stdout for name in NAMES), done.stdout
    image = odd / "data" / k_folder(1)
    for words in (("predict", one, image), ("explain", one, image, "--out", tmp_path / "e.html")):
        done = whet(*words)
        assert done.returncode == 0, done.stderr
        assert f"{k_folder(1)}/[i]" in done.stdout
        assert any(name in done.stdout for name in NAMES)
    assert "[bold]" in whet("report", one).stdout
    for words in (("compare", one, two), ("ensemble", one, two, "--out", tmp_path / "[b]")):
        done = whet(*words)
        assert done.returncode == 0, done.stderr
    for page in (one / "report.html", tmp_path / "e.html"):
        assert "[/x]" in page.read_text()


# --- results and talk -------------------------------------------------------------------------------------------------
def test_results_are_on_stdout_whole(odd, tmp_path):
    name = "n" * 200 + ".png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    done = whet("predict", odd / "run1", tmp_path, odd / "data" / k_folder(0))
    assert any(line.startswith(f"{tmp_path}/{name} ") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 1 + 1 + 16 and done.stderr == ""
    lines = [line for line in whet("methods").stdout.splitlines() if line.startswith("mixup ")]
    assert len(lines) == 1 and lines[0].rstrip().endswith(".") and "…" not in lines[0]


def test_answers_in_a_file_are_exact_or_made_for_a_spreadsheet(odd, tmp_path):
    """A class named =1+1 stays one in data files, our own too."""
    for words, name in (((), "=1+1"), (("--spreadsheet",), "'=1+1")):
        out = tmp_path / f"{len(words)}.csv"
        assert whet("predict", odd / "run1", odd / "data" / k_folder(0), "--out", out, *words).returncode == 0
        with out.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        assert "p:=1+1" in rows[0] and {row["predicted"] for row in rows} <= {"[/x]", "[red]", name}
    for file in ("predictions.csv", "splits.csv"):
        with (odd / "run1" / file).open(newline="") as handle:
            assert {row["label"] for row in csv.DictReader(handle)} == set(NAMES)
    assert set(package.load(odd / "run1").predictions["label"]) == set(NAMES)
    assert "NAME.csv" in whet("predict", odd / "run1", odd / "data", "--spreadsheet").stderr


def test_predictions_of_many_files_are_all_there(odd):
    done = whet("predict", odd / "run1", *(odd / "data" / k_folder(k) for k in range(3)))
    assert len(done.stdout.splitlines()) == 1 + 48


# --- options ---------------------------------------------------------------------------------------------------------
def test_resume_refuses_whatever_it_would_ignore(tmp_path):
    for words in (("--seed", "3"), ("--set", "train.seed=3"), ("--with", "mixup"), ("--without", "ema"), ("--out", "x"), 
                  ("--lr", "1"), ("--split-file", "a"), ("--strict",), ("--weights", "none"), ("--epochs", "3")):  # fmt: skip
        done = whet("train", "--resume", tmp_path / "run", *words)
        assert done.returncode == 1
        assert f"--resume continues a run with its original options; remove: {words[0]}" in done.stderr
    done = whet("train", "--resume", tmp_path / "run", "--accept-changed-data", "--json")
    assert "is not a run folder" in done.stderr


def test_training_settings_by_their_usual_names(images, tmp_path):
    words = ("--epochs", "1", "--batch-size", "8", "--lr", "0.003", "--image-size", "32", "--device", "cpu")
    done = whet(
        "train",
        images,
        "--architecture",
        "lenet",
        "--out",
        tmp_path / "run",
        *words,
        "--set",
        "train.torch_threads=1",
    )
    assert done.returncode == 0, done.stderr
    recipe = package.load(tmp_path / "run").recipe
    train = recipe.train
    assert (str(train.budget), train.batch_size, train.image_size, train.device) == ("1ep", 8, 32, "cpu")
    assert next(method.lr for method in recipe.methods if hasattr(method, "lr")) == 0.003
    for wrong, message in (
        (("--epochs", "2", "--budget", "3ep"), "--budget 3ep and --epochs 2 both set train.budget; give only one"),
        (
            ("--batch-size", "4", "--set", "train.batch_size=8"),
            "--batch-size 4 and --set train.batch_size=8 both set train.batch_size; give only one",
        ),
        (("--budget", "1ep", "--set", "train.budget=2ep"), "give only one"),
        (("--lr", "0.1", "--set", "sgd.lr=0.2"), "--lr 0.1 and --set sgd.lr=0.2 both set sgd.lr; give only one"),
        (("--weights", "none", "--set", "model.weights=auto"), "give only one"),
        (("--metric", "macro_f1"), "add one with --with"),
        (("--device", "tpu"), "train.device = 'tpu': accepted: auto or cpu or cuda"),
        (("--image-size", "big"), "train.image_size = 'big': accepted: a whole number from 8 to 4096 or auto"),
        (("--lr", "-1"), ".lr = -1.0: accepted: a number (above 0)"),
        (("--budget", "0ep"), "accepted: more than 0"),
    ):
        done = whet("train", images, "--out", tmp_path / "wrong", *wrong)
        assert done.returncode == 1
        assert message in done.stderr and not (tmp_path / "wrong").exists()


# --- stops ------------------------------------------------------------------------------------------------------------
AT_WORK = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a script
from whet.cli import main
from whet.data.audit import fingerprint as looking

plain = looking.fingerprint

def fingerprint(data):
    os.write(1, b"looking\\n")
    time.sleep(1)  # and there are 60 images; what a thread has begun is finished before the process ends
    return plain(data)

looking.fingerprint = fingerprint
main()
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_ctrl_c_is_one_line(images, tmp_path, number, code):
    """While threads of it read images. -15 is what a shell calls 143."""
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, "check", str(images), "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "WHET_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "looking\n"
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == code, told
    assert told == ("stopped\n" if code == 130 else "")
