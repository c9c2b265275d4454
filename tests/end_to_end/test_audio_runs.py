"""Audio clips through the whole road: trained, asked, measured, shown."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile
from tests.conftest import whet

import whet as package
from whet import recipes
from whet.core.errors import DataError
from whet.core.rng import Rng
from whet.training.job import train_run

_RATE, _SECONDS = 8_000, 0.3
_TONES = {"low": 250.0, "middle": 900.0, "high": 2600.0}


def write_audio(root, count=20):
    """Tones with noise, a class a pitch; some of them stereo, some FLAC."""
    time = np.arange(int(_RATE * _SECONDS)) / _RATE
    for k, (name, hertz) in enumerate(_TONES.items()):
        (root / name).mkdir(parents=True)
        drawn = Rng(k).batch("audio", 0, np.arange(count))
        noise, bend = drawn.normal((len(time),)), drawn.uniform(0.9, 1.1)
        for i in range(count):
            wave = 0.3 * np.sin(2 * np.pi * hertz * bend[i] * time) + 0.02 * noise[i]
            wave = np.stack([wave, wave], axis=1) if i % 3 == 0 else wave
            soundfile.write(root / name / f"{i:02d}.{'flac' if i % 2 else 'wav'}", wave, _RATE)
    return root


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("data") / "tones")


@pytest.fixture(scope="module")
def run(audio, tmp_path_factory):
    return package.train(audio, budget="40ep", out=tmp_path_factory.mktemp("runs") / "tones")


def test_what_can_be_learnt_is_learnt_without_a_word_of_settings(run):
    assert run.recipe.task == "audio-classification"
    assert run.recipe.model.architecture == "audio_cnn"
    assert run.recipe.train.clip_seconds == pytest.approx(_SECONDS)
    assert run.metrics["test"]["accuracy"] > 0.8


def test_files_of_any_rate_are_asked(run, tmp_path):
    """The answer is to what is heard: a tone at 44.1 kHz is the same tone."""
    time = np.arange(int(44_100 * _SECONDS)) / 44_100
    noise = 0.05 * Rng(9).batch("audio", 0, np.arange(1)).normal((len(time),))[0]
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 2600 * time) + noise, 44_100)
    (tmp_path / "b.wav").write_bytes(b"no audio clip at all")
    answers = run.predict(tmp_path)
    assert answers["predicted"].tolist() == ["high", ""]
    assert answers["error"][1]


def test_the_report_has_players_and_spectrograms(run):
    page = run.folder.report.read_text(encoding="utf-8")
    assert page.count("data:audio/ogg;base64,") >= 6
    assert "media-src data:" in page and "images" not in page


def test_a_fold_is_the_test_part(audio, tmp_path):
    rows = [(f"{name}/{i:02d}.{'flac' if i % 2 else 'wav'}", name, i % 4) for name in _TONES for i in range(20)]
    with (audio / "folds.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("file", "label", "fold"), *rows])
    recipe = recipes.load("audio/plain_from_scratch")
    recipe = recipe.replace(data=recipe.data.replace(path=str(audio / "folds.csv"), fold="2"))
    folder = train_run(recipe.setting(budget="1ep"), tmp_path / "run")
    tested = [row for row in csv.DictReader(folder.splits.read_text().splitlines()) if row["split"] == "test"]
    assert sorted(row["id"] for row in tested) == sorted(name for name, _, fold in rows if fold == 2)
    with pytest.raises(DataError, match=r"unknown fold '7'.*0, 1, 2, 3"):
        train_run(recipe.replace(data=recipe.data.replace(fold="7")), tmp_path / "wrong")


@pytest.mark.slow
@pytest.mark.sample
def test_the_same_seed_gives_the_same_run_whatever_the_threads(audio, tmp_path):
    def trained(threads):
        base = recipes.load("audio/from_scratch")
        base = base.replace(data=base.data.replace(path=str(audio)))
        settings = (
            "train.budget=1ep",
            f"train.loader_threads={threads}",
            "train.torch_threads=1",
            "train.precision=fp32",
        )
        recipe = recipes.change(base, add=("add_noise", "time_stretch"), settings=settings)
        return train_run(recipe, tmp_path / f"with-{threads}").predictions.read_text()

    assert trained(1) == trained(3)


def test_a_sheet_of_audio_by_the_command_line(audio, tmp_path):
    done = whet("augment", audio, "--with", "pitch_shift", "--out", tmp_path / "s.html", "--rows", 3, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 3
    assert (tmp_path / "s.html").read_text().count("data:audio/ogg;base64,") == 18
