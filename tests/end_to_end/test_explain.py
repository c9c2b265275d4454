"""Explanations by the command line and in the report, for the three media."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image
from tests.conftest import whet, write_images
from typer.testing import CliRunner

import whet as package
from whet.cli import app
from whet.core.errors import RecipeError, RunError
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder
from whet.data.read import read_samples
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.explain import CannotExplain
from whet.report import build_report
from whet.training.finish import write_mistakes

RATE = 8_000


def explain(*words):
    """The command, in this process."""
    done = CliRunner().invoke(app, ["explain", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def jpegs(page):
    """The images within a page, RGB."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int) for data in found]


@pytest.fixture(scope="module")
def audio_run(tmp_path_factory):
    root = tmp_path_factory.mktemp("audio")
    time = np.arange(int(0.3 * RATE)) / RATE
    for k, (name, hertz) in enumerate({"low": 300.0, "high": 2500.0}.items()):
        (root / "tones" / name).mkdir(parents=True)
        noise = Rng(k).batch("audio", 0, np.arange(12)).normal((len(time),))
        for i in range(12):
            soundfile.write(
                root / "tones" / name / f"{i}.wav", 0.2 * np.sin(2 * np.pi * hertz * time) + 0.05 * noise[i], RATE
            )
    return package.train(root / "tones", budget="2ep", out=root / "run")


def test_images_and_a_class_of_ones_own_choice(finished_run, tmp_path):
    data = write_images(tmp_path / "new", {"glass": 2}, seed=9)
    (data / "glass" / "zz.jpg").write_bytes(b"\xff\xd8\xff")
    done = whet("explain", finished_run, data, "--class", "paper", "--out", tmp_path / "page.html", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["samples"]
    assert [entry.get("explained") for entry in told] == ["paper", "paper", None]
    assert told[2]["error"]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    seen = jpegs(page)
    assert len(seen) == 4 and {image.shape for image in seen} == {(32, 32, 3)}
    assert "not read" in page and str(tmp_path) not in page.replace(told[2]["sample"], "")
    again = whet("explain", finished_run, data, "--class", "paper", "--out", tmp_path / "page.html")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_an_unknown_class_is_refused_with_those_there_are(finished_run, tmp_path):
    done = whet("explain", finished_run, tmp_path, "--class", "papier", "--out", tmp_path / "page.html")
    assert done.returncode == 1
    assert "unknown class 'papier'" in done.stderr and "Did you mean 'paper'?" in done.stderr
    assert "Accepted: glass, metal, paper" in done.stderr
    with pytest.raises(RecipeError, match="Accepted: glass, metal, paper"):
        package.load(finished_run).explain(class_name="papier")


@pytest.mark.slow
def test_texts_of_the_command_line_have_coloured_words(text_run, tmp_path):
    done = explain(text_run.path, "what of this bottle", "ein <b>can", "--out", tmp_path / "page.html", "--json")
    told = json.loads(done.stdout)["samples"]
    assert [entry["predicted"] for entry in told] == ["glass", "metal"]
    strongest = [max(entry["pieces"], key=lambda piece: piece[1] or 0)[0] for entry in told]
    assert strongest == ["bottle", "can"]
    for entry in told:
        total = sum(share for _, share in entry["pieces"])
        assert total == pytest.approx(entry["total"] - entry["blank"], rel=0.01)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.search(r"<mark style=\"background:rgba\(47,95,179,0\.72\)[^>]*>bottle</mark>", page)
    assert "<b>can" not in page


def test_audio_have_a_spectrogram_with_heat_and_a_player(audio_run, tmp_path):
    files = [audio_run.path.parent / "tones" / "high" / f"{i}.wav" for i in (0, 1)]
    explain(audio_run.path, *files, "--class", "high", "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:audio/ogg;base64,") == 2
    assert [image.shape for image in jpegs(page)[1::2]] == [(192, 384, 3)] * 2


def test_without_inputs_the_most_confident_mistakes(finished_run, tmp_path):
    run = package.load(finished_run)
    predicted = run.predictions[run.predictions["split"] == "test"]
    wrong = predicted[predicted["label"] != predicted["predicted"]].sort_values(
        ["confidence", "id"], ascending=[False, True]
    )
    if not len(wrong):
        with pytest.raises(RunError, match=r"all predictions on its .* samples are correct"):
            run.explain()
        return
    done = explain(finished_run, "--most", "3", "--out", tmp_path / "page.html", "--json")
    told = json.loads(done.stdout)["samples"]
    assert [entry["sample"] for entry in told] == wrong["id"].head(3).tolist()
    assert [entry["predicted"] for entry in told] == wrong["predicted"].head(3).tolist()
    assert [entry["label"] for entry in told] == wrong["label"].head(3).tolist()


@pytest.mark.slow
def test_from_python(text_run):
    found = text_run.explain("this can", class_name="glass")
    assert len(found) == 1
    assert found[0].predicted == "metal" and found[0].explained == "glass"
    assert found[0].explanation.total < 0


@pytest.fixture
def wrong_run(finished_run, tmp_path):
    """A copy of the run where every test sample was wrong, and its test part."""
    shutil.copytree(finished_run, tmp_path / "run")
    run = package.load(tmp_path / "run")
    table = read_samples(run.recipe.data)
    seen = read_evidence(run.folder, "test")
    next_class = [seen.classes.index(name) for name in ("metal", "paper", "glass")]
    wrong_NK = 0.05 + 0.85 * np.eye(3)[[next_class[k] for k in seen.labels]]
    write_evidence(run.folder, {"val": read_evidence(run.folder, "val"), "test": replace(seen, probs_NK=wrong_NK)})
    return run.folder, table.with_frame(table.frame[table.frame["id"].isin(seen.ids)])


def test_mistakes_are_kept_with_what_speaks_for_the_wrong_answer(wrong_run):
    folder, part = wrong_run
    model = package.load(folder.path)._model

    def why(rows, class_N):
        assert [part.classes[k] for k in class_N] == [{"glass": "metal", "metal": "paper", "paper": "glass"}[name]
                                                      for name in (part.classes[k] for k in rows.label_N)]  # fmt: skip
        return model.explanations(rows.frame, class_N)

    assert write_mistakes(part, "test", folder, why) == ""
    first = {path.name: path.read_bytes() for path in folder.mistakes.iterdir()}
    told = folder.read_json(folder.mistakes / "mistakes.json")
    assert len(told["shown"]) == min(12, len(part))
    assert all((folder.mistakes / entry["heat"]).is_file() for entry in told["shown"])
    write_mistakes(part, "test", folder, why)
    assert {path.name: path.read_bytes() for path in folder.mistakes.iterdir()} == first
    page = build_report(folder).read_text()
    assert "evidence for the predicted class" in page
    assert page.count('class="why image"') == len(told["shown"])


@pytest.mark.parametrize("error", [CannotExplain("perceptron has no map"), RuntimeError("not enough memory\nat all")])
def test_mistakes_stand_without_explanations_where_there_are_none(wrong_run, error):
    folder, part = wrong_run

    def why(rows, class_N):
        raise error
        yield

    assert write_mistakes(part, "test", folder, why) == str(error).partition("\n")[0]
    told = folder.read_json(folder.mistakes / "mistakes.json")
    assert len(told["shown"]) == min(12, len(part)) and not any("heat" in entry for entry in told["shown"])
    page = build_report(RunFolder(folder.path)).read_text()
    assert "Most confident mistakes" in page and "evidence for the predicted class" not in page


def test_runs_keep_the_explanations_of_their_mistakes_themselves(finished_run, audio_run):
    for path, key in ((finished_run, "heat"), (audio_run.path, "heat")):
        folder = RunFolder(path)
        told = folder.read_json(folder.mistakes / "mistakes.json")
        assert all(key in entry for entry in told["shown"])
        assert not any("without explanations" in note for note in folder.read_json(folder.metrics)["notes"])
