"""Texts to audit: sentences of a small grammar, all different, two classes that differ in what they speak of."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit.texts.survey import survey_texts

_WHO = ["farmer", "sailor", "teacher", "baker", "doctor", "renderer", "miller", "soldier", "writer", "singer"]
_DID = {"a": ["cooked", "fried", "tasted", "served", "peeled", "boiled", "salted", "sliced"],
        "b": ["played", "kicked", "caught", "threw", "scored", "raced", "jumped", "tackled"]}  # fmt: skip
_WHAT = {"a": ["soup", "onions", "carrots", "dumplings", "noodles", "pancakes", "cabbage", "lentils"],
         "b": ["football", "tennis", "marathon", "hockey", "handball", "relay", "hurdles", "rugby"]}  # fmt: skip
_WHERE = [
    "yesterday",
    "outside",
    "upstairs",
    "abroad",
    "alone",
    "together",
    "early",
    "late",
    "quietly",
    "nearby",
    "twice",
    "again",
]


def sentence(number: int, label: str) -> str:
    def pick(words, place):
        return words[int(Rng(7).batch(f"pick {place} {label}", 0, [number]).uniform(0, len(words), (1,))[0, 0])]

    near = [pick(_WHERE, place) for place in range(4)]
    return (
        f"The {pick(_WHO, 'w')} {near[0]} {pick(_DID[label], 'd')} {pick(_WHAT[label], 'o')} {near[1]}, while one "
        f"{pick(_WHO, 'x')} {near[2]} {pick(_DID[label], 'e')} {pick(_WHAT[label], 'p')} {near[3]}."
    )


def write(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


def clean_rows(count: int = 120) -> list[tuple[str, str]]:
    return [(sentence(number, "ab"[number % 2]), "ab"[number % 2]) for number in range(count)]


@pytest.fixture
def survey():
    """survey(path): what the checks look at."""
    return lambda path, **options: survey_texts(read_data(DataSpec(path=str(path), **options)), 1)
