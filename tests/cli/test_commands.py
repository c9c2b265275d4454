"""Every command as a person would use it, on one small run."""

import csv
import json
import pkgutil
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import train_small, whet, write_images

import whet as package


def test_help_fits_one_screen_and_names_every_command(monkeypatch):
    """One screen of 100 columns and 50 lines; commands with many options need somewhat more."""
    import typer

    from whet.cli import app

    monkeypatch.setenv("COLUMNS", "100")
    done = whet("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 50 and max(map(len, lines)) <= 100
    assert "Exit codes: 0 success; 1 an error" in done.stdout
    for command in typer.main.get_command(app).commands:
        assert any(line.startswith(f"  {command} ") for line in lines)
        told = whet(command, "--help")
        assert told.returncode == 0 and len(told.stdout.splitlines()) <= 64, command
        assert max(map(len, told.stdout.splitlines())) <= 100


def test_options_are_in_panels():
    told = whet("train", "--help").stdout
    starts = [
        told.index(f"\n{title}:")
        for title in ("Arguments", "Methods", "Model", "Training", "How the data are read", "Output")
    ]
    assert starts == sorted(starts)
    words = ("--with", "--architecture", "--lr", "--mask-format", "--out")
    assert all(start < told.index(word) for start, word in zip(starts[1:], words))
    assert told.index("--lr") < starts[4] and told.index("--with") < starts[2]
    assert "Requires whet[ray]" in " ".join(whet("study", "--help").stdout.split())


def test_whet_alone_shows_the_first_steps(monkeypatch):
    done = whet()
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) <= 10
    assert all(f"  whet {command} " in done.stdout for command in ("check", "improve", "predict"))
    monkeypatch.setenv("LANGUAGE", "zh")
    assert "损坏的文件" in whet().stdout


@pytest.mark.parametrize(
    "statement", ["import whet", "import whet.cli", "import whet; whet.Recipe", "import whet.core.recipe"]
)
def test_light_imports(statement):
    """No torch, pandas or transformers before work begins."""
    check = f"{statement}\nimport sys; print([m for m in ('torch', 'pandas', 'transformers', 'cv2', 'scipy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_help_loads_what_it_shows_and_no_more():
    """`whet --help` answers in a fraction of a second: neither NumPy nor rich is read for it."""
    check = "import whet.cli, sys; print([m for m in ('numpy', 'rich', 'yaml', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_takes_the_place_of_a_function():
    """Packages and functions have names of their own, or importing a package would hide its function."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert {"training", "improvement", "checking"} <= modules
    assert {"train", "improve", "check"} <= set(package.__all__)
    assert not modules & set(package.__all__)


def test_version():
    assert whet("--version").stdout.strip() == "whet 0.1.0"


def test_check_prints_findings_and_a_strict_check_fails(images):
    (images / "metal" / "twin.png").write_bytes((images / "glass" / "000.png").read_bytes())
    done = whet("check", images)
    assert done.returncode == 0
    assert "label conflict" in done.stdout
    assert "glass/000.png  =  metal/twin.png" in done.stdout
    assert whet("check", images, "--strict").returncode == 1
    plain = json.loads(whet("check", images, "--json").stdout)
    assert plain["samples"] == 61
    assert {finding["kind"] for finding in plain["findings"]} >= {"label conflict", "exact duplicates"}


def test_evaluate_the_own_test_part_and_other_data(finished_run, tmp_path):
    own = json.loads(whet("evaluate", finished_run, "--json").stdout)
    data = write_images(tmp_path / "new", {"glass": 6, "paper": 5}, seed=9)
    (data / "glass" / "bad.png").write_bytes(b"x")
    other = json.loads(whet("evaluate", finished_run, data, "--json").stdout)
    assert other["samples"] == 11
    assert [entry["id"] for entry in other["left_out"]] == ["glass/bad.png"]
    assert set(own) <= set(other)
    shown = whet("evaluate", finished_run, data)
    assert "glass/bad.png" in shown.stderr
    write_images(tmp_path / "alien", {"rubber": 3, "glass": 3})
    refused = whet("evaluate", finished_run, tmp_path / "alien")
    assert refused.returncode == 1
    assert "not trained on: rubber" in refused.stderr


def test_predict_files_folders_and_patterns(finished_run, tmp_path):
    data = write_images(tmp_path / "new", {"glass": 4, "paper": 4}, seed=9)
    (data / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    one = json.loads(whet("predict", finished_run, data / "glass" / "000.png", "--json").stdout)
    assert one[0]["predicted"] in ("glass", "metal", "paper")
    assert sum(value for key, value in one[0].items() if key.startswith("p:")) == pytest.approx(1, abs=1e-5)
    done = whet("predict", finished_run, data, f"{data}/glass/*.png", "--out", tmp_path / "answers.csv")
    assert done.returncode == 0, done.stderr
    assert "1 of 9 files could not be read" in done.stderr
    with (tmp_path / "answers.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 9  # the pattern names files that the folder named already
    assert [row["file"].rsplit("/", 1)[-1] for row in rows if row["error"]] == ["broken.jpg"]
    assert whet("predict", finished_run, data, "--out", tmp_path / "answers.json").returncode == 0
    assert len(json.loads((tmp_path / "answers.json").read_text())) == 9
    assert "name must end in .csv or .json" in whet("predict", finished_run, data, "--out", tmp_path / "a.txt").stderr
    assert "no file matches it as a pattern" in whet("predict", finished_run, tmp_path / "none*.png").stderr


def test_predictions_are_those_of_the_run(finished_run):
    """The run's own test images get the answers that training wrote down."""
    from whet import load

    run = load(finished_run)
    test = run.predictions[run.predictions["split"] == "test"].head(10)
    root = finished_run.parent / "images"
    again = run.predict([root / name for name in test["id"]])
    assert again["predicted"].tolist() == test["predicted"].tolist()
    assert again["confidence"].to_numpy() == pytest.approx(test["confidence"].to_numpy(), abs=1e-4)


def test_compare_report_and_methods(finished_run, tmp_path):
    data = finished_run.parent / "images"
    done = train_small(
        data, tmp_path / "plain", "--seed", "1", "--recipe", "image/plain_from_scratch", "--json", budget="2ep"
    )
    assert done.returncode == 0, done.stderr
    compared = json.loads(whet("compare", tmp_path / "plain", finished_run, "--json").stdout)
    assert compared["reference"]["name"] == "plain"
    assert compared["comparisons"][0]["verdict"] == "not assessed"  # of one seed
    assert compared["part"] == "test"
    by_loss = json.loads(whet("compare", tmp_path / "plain", finished_run, "--metric", "log_loss", "--json").stdout)
    assert by_loss["metric"] == "log_loss"
    assert len(by_loss["comparisons"][0]["log_loss"]) == 1
    assert "McNemar" in whet("compare", tmp_path / "plain", finished_run).stdout
    (finished_run / "report.html").unlink()
    assert whet("report", finished_run).returncode == 0
    assert (finished_run / "report.html").is_file()
    assert "mixup" in whet("methods").stdout
    card = whet("methods", "mixup")
    assert "1710.09412" in card.stdout
    assert json.loads(whet("methods", "mixup", "--json").stdout)["family"] == "mix"
    assert "image/waste" in whet("methods", "--recipes").stdout
    assert "Did you mean 'mixup'" in whet("methods", "mixupp").stderr


def test_changes_from_the_command_line(images, tmp_path):
    words = (
        "--with",
        "mixup",
        "--without",
        "label_smoothing",
        "--set",
        "mixup.alpha=0.7",
        "--set",
        "data.test_fraction=0.3",
    )
    done = train_small(images, tmp_path / "run", *words, "--json", budget="1ep")
    assert done.returncode == 0, done.stderr
    from whet.core.recipe import Recipe

    recipe = Recipe.load(tmp_path / "run" / "recipe.yaml")
    assert recipe.method("mixup").alpha == 0.7
    assert "label_smoothing" not in recipe
    assert recipe.data.test_fraction == 0.3
    assert recipe.train.image_size == 32
    resolved = (tmp_path / "run" / "recipe.yaml").read_text().split("methods:")[0]
    assert "auto" not in resolved.replace("device: auto", "").replace("store: auto", "")  # which the machine decides


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train",), "no data given"),
        (("train", "nowhere"), "data nowhere does not exist"),
        (("train", "{data}", "--set", "batch=3"), "write SECTION.KEY=VALUE"),
        (("train", "{data}", "--set", "trian.seed=3"), "Did you mean 'train'"),
        (("train", "{data}", "--with", "mixupp"), "Did you mean 'mixup'"),
        (("train", "{data}", "--recipe", "image/wast"), "Did you mean 'image/waste'"),
        (("train", "{data}", "--budget", "soon"), "20ep"),
        (("report", "{data}"), "not a run folder"),
        (("compare", "{data}"), "not a run folder"),
    ],
)
def test_mistakes_are_one_line(images, words, message, tmp_path):
    done = whet(*(word.format(data=images) for word in words), cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_exit_codes(finished_run, tmp_path):
    """0, 1 and 2; 130 and 143 are those of test_ctrl_c_is_one_line and of the training tests."""
    assert whet("methods", "mixup").returncode == 0
    assert whet("methods", "mixupp").returncode == 1
    assert whet("predict", finished_run, tmp_path / "none.png").returncode == 1
    assert whet("train", "--bugdet", "3ep").returncode == 2
    assert whet("trian").returncode == 2
    assert whet("predict").returncode == 2  # an argument is missing
    documented = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    assert all(f"| {code} |" in documented for code in (0, 1, 2, 130, 143))


def test_the_options_are_these():
    """A new option is a decision: it is added here too."""
    import typer

    from whet.cli import app

    group = typer.main.get_command(app)
    found = {
        name: sorted(p.opts[0] for p in command.params if p.opts[0].startswith("-"))
        for name, command in group.commands.items()
    }
    assert all("--language" in options for options in found.values())
    found = {name: [one for one in options if one != "--language"] for name, options in found.items()}
    data = [
        "--class-folder", "--file-column", "--files-root", "--group-column", "--json", "--label-column", "--label-columns",
        "--label-separator", "--mask-classes", "--mask-format", "--mask-frame", "--mask-ignore", "--mask-supervision",
        "--mask-template", "--split-column", "--split-file", "--text-column", "--weight-column",
    ]  # fmt: skip
    training = ["--batch-size", "--device", "--epochs", "--image-size", "--lr"]
    assert found.pop("runs") == ["--all", "--json", "--sort"]
    assert found == {
        "check": sorted([*data, "--force", "--out", "--strict", "--unlabelled", "--weights"]),
        "board": ["--force", "--json", "--out", "--port", "--serve"],
        "group": sorted(
            ["--algorithm", "--architecture", "--file-column", "--force", "--groups", "--image-size", "--json", "--links",
             "--names", "--out", "--seed", "--text-column", "--weights"]
        ),
        "augment": sorted(
            [*data, "--force", "--out", "--recipe", "--rows", "--seed", "--set", "--size", "--variants", "--with", "--without"]
        ),
        "train": sorted(
            [*data, *training, "--accept-changed-data", "--architecture", "--budget", "--head", "--metric", "--task",
             "--out", "--recipe", "--resume", "--seed",
             "--set", "--strict", "--track", "--unlabelled", "--weights", "--with", "--without"]
        ),
        "pretrain": sorted(
            [*data, *training, "--architecture", "--budget", "--out", "--recipe", "--seed", "--set", "--unlabelled", "--weights",
             "--with", "--without"]
        ),
        "study": sorted(
            [*data, *training, "--architecture", "--budget", "--head", "--task",
             "--design", "--factor", "--jobs", "--methods", "--metric", "--out",
             "--ray", "--recipe", "--seeds", "--smaller", "--unlabelled", "--weights"]
        ),
        "tune": sorted(
            [*data, *training, "--architecture", "--budget", "--head", "--task",
             "--jobs", "--methods", "--metric", "--out", "--ray", "--recipe",
             "--search", "--trials", "--unlabelled", "--weights"]
        ),
        "improve": sorted(
            [*data, *training, "--architecture", "--budget", "--head", "--task",
             "--jobs", "--metric", "--out", "--plain", "--ray", "--seeds",
             "--strong", "--study", "--tune", "--unlabelled", "--weights"]
        ),
        "ensemble": ["--json", "--out"],
        "evaluate": sorted([*data, "--part"]),
        "predict": ["--file-column", "--force", "--json", "--out", "--spreadsheet", "--text-column"],
        "explain": ["--class", "--file-column", "--force", "--json", "--most", "--out", "--text-column"],
        "label": ["--by", "--count", "--file-column", "--force", "--json", "--labels", "--out", "--run", "--text-column"],
        "compress": ["--budget", "--data", "--json", "--out", "--prune", "--student", "--target"],
        "export": sorted(
            ["--data", "--golden", "--json", "--low-rank", "--out", "--packages", "--quantize", "--single-file", "--to",
             "--tolerance", "--unsure"]
        ),
        "serve": ["--allow-host", "--batch", "--corrections", "--host", "--json", "--max-mb", "--port", "--queue", "--token"],
        "compare": sorted(
            [*data, *training, "--architectures", "--budget", "--head", "--metric", "--out", "--recipe", "--seeds", "--task",
             "--weights"]
        ),
        "report": ["--json"],
        "methods": ["--json", "--recipes"],
        "weights": ["--json", "--speed"],
    }  # fmt: skip


def test_paths_with_spaces_and_brackets_can_be_copied(finished_run, tmp_path):
    """Brackets are no markup, and a path with a space is one word of the next command."""
    copy = tmp_path / "my [red] runs" / "one"
    shutil.copytree(finished_run, copy)
    told = whet("report", copy).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("report")]
    (path,) = shlex.split(line)[1:]
    assert Path(path).name == "report.html" and (Path.cwd() / path).resolve().is_file()
