"""Data whose samples are all one thing, or one class of them: a fixed camera, a form, an empty belt."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from tests.data.audit.conftest import save, scene

from whet.checking import check

_WORDS = (
    *("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota"),
    *("kappa", "lambda", "omicron", "rho", "sigma", "upsilon", "chi", "omega"),
)


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label"], *rows])
    return path


def form(number):
    return f"Dear sir or madam, we have received your application number {number} and will answer it as soon as we can"


def plain(number, label):
    """Eight words, those of class a from the one half of the list."""
    order = np.random.Generator(np.random.PCG64(number)).permutation(8)
    return " ".join(_WORDS[k + (8 if label == "b" else 0)] for k in order)


def test_texts_that_are_all_one_form(tmp_path):
    found = check(write(tmp_path / "t.csv", [(form(i), "ab"[i % 2]) for i in range(40)]))
    (finding,) = [finding for finding in found.findings if finding.kind == "not searched"]
    assert "a (20), b (20)" in finding.text
    assert found.probes == []


@pytest.mark.parametrize("medium", ["text", "image"])
def test_one_class_of_copies_leaves_the_others_as_they_are(medium, tmp_path):
    """The share of right answers is that of the other classes by themselves."""

    def data(name, copies):
        if medium == "text":
            rows = [(plain(i, "ab"[i % 2]), "ab"[i % 2]) for i in range(40)]
            return write(tmp_path / f"{name}.csv", rows + [(form(i), "form") for i in range(copies)])
        for i in range(40):
            pixels = scene(i).astype(float) * 0.5
            pixels[..., i % 2] += 100
            save(np.clip(pixels, 0, 255).astype(np.uint8), tmp_path / name / "ab"[i % 2] / f"{i}.png")
        belt = scene(99)
        for i in range(copies):
            noise = np.random.Generator(np.random.PCG64(i)).integers(-2, 3, belt.shape)
            save(np.clip(belt + noise, 0, 255).astype(np.uint8), tmp_path / name / "belt" / f"{i}.png")
        return tmp_path / name

    def told(found):
        return [f.text for f in found.findings if f.kind == "suspected labels"]

    alone, beside = check(data("alone", 0)), check(data("beside", 20))
    assert told(beside) == told(alone)
    assert next(f.text for f in beside.findings if f.kind == "not searched").endswith("(20)")


def test_more_classes_than_a_first_model_can_hold_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("whet.checking._MOST_PROBABILITIES", 100)
    found = check(write(tmp_path / "t.csv", [(plain(i, "ab"[i % 2]), "ab"[i % 2]) for i in range(60)]))
    text = next(finding.text for finding in found.findings if finding.kind == "not searched")
    assert "more than 100 probabilities" in text and "a (30), b (30)" in text
