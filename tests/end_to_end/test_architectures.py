"""Architectures compared as a person does it: one that fails, one that is stopped, and the page."""

import json
import re
import shutil

import pytest
from tests.conftest import whet, write_images

from whet import architectures, compare_architectures
from whet.architectures import _named
from whet.cli.compare import command
from whet.core.errors import RecipeError, RunError, WeightsError
from whet.core.run_folder import RunFolder
from whet.training.job import resume_or_train

# At 8 px nothing is left of an image for LeNet's second layer.
RECIPE = "train: {budget: 9ep, batch_size: 8, image_size: 8, precision: fp32}\nmethods: [adamw, cosine]\n"


@pytest.fixture(scope="module", autouse=True)
def run_here():
    """`run_in_subprocess`, which has tests of its own, in this process: each new one would import everything again."""

    def run(recipe, path, observer):
        try:
            return resume_or_train(recipe, path, observer)
        except Exception as error:
            raise RunError(f"{type(error).__name__}: {error}") from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "run_in_subprocess", run)
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("architectures")
    data = write_images(root / "images", {"glass": 30, "metal": 30})
    (root / "recipe.yaml").write_text(RECIPE)
    asked = {"data": data, "budget": "1ep", "recipe": root / "recipe.yaml", "out": root / "out"}
    found = compare_architectures(architectures=["resnet9_slim", "lenet", "convmixer"], **asked)
    return root, asked, found


def test_each_has_a_row_and_a_failure_is_told_in_its_own(compared):
    root, _, found = compared
    assert [row["name"] for row in found.rows] == ["resnet9_slim", "lenet", "convmixer"]
    slim, lenet, mixer = found.rows
    assert lenet["runs"] == [] and re.match(r"RuntimeError: .*[Kk]ernel size", lenet["failed"]["lenet-s0"])
    for row in (slim, mixer):
        metrics = json.loads((root / "out" / row["runs"][0] / "metrics.json").read_text())
        assert row["failed"] == {}
        assert row["value"] == pytest.approx(metrics["test"]["accuracy"])
        assert [row["low"], row["high"]] == pytest.approx(metrics["test"]["accuracy_interval"])
        assert row["parameters"] == metrics["cost"]["parameters"]
        assert row["peak_memory_mib"] == metrics["cost"]["peak_memory_mib"]
        assert row["epochs"] == 1
    assert slim["parameters"] < mixer["parameters"] < 600_000
    assert set(found.table.columns) >= {"name", "value", "low", "high", "parameters", "train_seconds"}


def test_the_best_was_chosen_on_validation_and_the_other_is_paired_with_it(compared):
    root, _, found = compared
    losses = {
        row["name"]: json.loads((root / "out" / row["runs"][0] / "metrics.json").read_text())["val"]["log_loss"]
        for row in found.rows if row["runs"]
    }  # fmt: skip
    assert found.best == min(losses, key=losses.get)
    assert found.best_run == root / "out" / f"{found.best}-s0"
    best, other = sorted((row for row in found.rows if row["runs"]), key=lambda row: row["name"] != found.best)
    assert best["difference"] is None
    assert other["difference"]["mean"] == pytest.approx(other["value"] - best["value"])
    assert other["difference"]["low"] <= other["difference"]["mean"] <= other["difference"]["high"]


def test_the_page_holds_table_figure_and_failure(compared):
    _, _, found = compared
    page = found.report.read_text()
    for text in ("resnet9_slim", "convmixer", "Quality and cost", "lenet-s0", "RuntimeError", "<svg"):
        assert text in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_called_again_finished_runs_are_kept_and_others_go_on(compared):
    root, asked, found = compared
    out = root / "out"
    kept = {
        path: path.stat().st_mtime_ns for path in (out / "resnet9_slim-s0").rglob("*") if path.name != "report.html"
    }
    before = RunFolder(out / "convmixer-s0").read_json(out / "convmixer-s0" / "metrics.json")
    stopped = RunFolder(out / "convmixer-s0")  # as it lies before its last file is written
    shutil.copytree(stopped.model, stopped.start)
    for path in (stopped.done, stopped.metrics):
        path.unlink()
    with pytest.raises(RunError, match=r"resnet9_slim-s0 contains a run of another recipe"):
        compare_architectures(architectures=["resnet9_slim"], **{**asked, "budget": "2ep"})
    again = compare_architectures(architectures=["resnet9_slim", "convmixer"], **asked)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    after = RunFolder(out / "convmixer-s0").read_json(out / "convmixer-s0" / "metrics.json")
    assert any(note.startswith("resumed at step 5") for note in after["notes"])
    assert after["test"] == before["test"]
    assert [row["value"] for row in again.rows] == [found.rows[0]["value"], found.rows[2]["value"]]


def test_by_the_command_line(compared):
    root, asked, _ = compared
    words = ["compare", asked["data"], "--architectures", "resnet9_slim, convmixer", "--budget", "1ep", "--recipe",
             asked["recipe"], "--out", asked["out"]]  # fmt: skip
    done = whet(*words, "--json")
    assert done.returncode == 0, done.stderr
    plain = json.loads(done.stdout)
    assert [row["name"] for row in plain["architectures"]] == ["resnet9_slim", "convmixer"]
    assert plain["best"] in ("resnet9_slim", "convmixer")
    shown = " ".join(whet(*words).stdout.split())
    assert f"best: {plain['best']}, by log-loss on validation samples" in shown
    (root / "out" / "report.html").unlink()
    assert whet("report", root / "out").returncode == 0
    assert "Quality and cost" in (root / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("given", "asked", "message"),
    [
        (["data"], {"architectures": "resnet9,lenett"}, r"unknown architecture 'lenett'. Did you mean 'lenet'"),
        (["data"], {"architectures": "lenet,resnet9,lenet"}, r"architecture 'lenet' is given twice"),
        (["data"], {"architectures": " , "}, r"no architecture given; accepted: lenet"),
        (["data"], {"architectures": "lenet,./nowhere"}, r"'./nowhere': no config.json in that folder"),
        (
            ["data"],
            {"architectures": "lenet", "weights": "some/name"},
            r"only none is accepted; give pretrained weights as",
        ),
        (["a", "b"], {"architectures": "lenet"}, r"trains on one DATA; got 2: a, b"),
        (["data"], {"architectures": "lenet", "metric": "macro_f1"}, r"--metric macro_f1 applies to finished runs"),
        (["a", "b"], {"seeds": 3, "budget": "2ep"}, r"--budget or --epochs, --seeds requires --architectures"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(given, asked, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((RecipeError, WeightsError), match=message):
        command(given, **asked)
    assert not list(tmp_path.iterdir())


def test_two_folders_of_one_name_cannot_be_told_apart(tmp_path):
    for name in ("one/net", "two/net"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    assert _named([str(tmp_path / "one/net"), "net/on-the-hub"]) == {
        "net": str(tmp_path / "one/net"), "net/on-the-hub": "net/on-the-hub"
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"architecture 'net' is given twice, as '.*one/net' and as '.*two/net'"):
        _named([str(tmp_path / "one/net"), str(tmp_path / "two/net")])
