"""Augmenting texts on one core: whet's EDA policy and its operations against nlpaug's, batch by batch in turn.

policy      every text of a batch of SST-2 changed by one operation, drawn for each: whet's eda has four (synonyms replaced or
            inserted, words swapped, words left out); for nlpaug the three of them that it knows take turns.
operations  each of the three alone, on every text.

Measured in processor time, which other work on the machine does not stretch, after a round to warm up: whet keeps how a text is
cut into words, and both keep synonyms once looked up, as in training from the second epoch on.
Share of the words 0.1 for both, and the same
WordNet. nlpaug asks nltk's tagger for the kind of each word before it looks up synonyms; where the tagger's model is not
installed, every word is called a noun, which costs nothing: that favours nlpaug.

    python benchmarks/augment_text.py [--repeats 9]

nlpaug is no dependency of whet: pip install nlpaug==1.1.11. WordNet: apt install wordnet-base.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import record
from whet.core.method import Method
from whet.core.recipe import parse_methods
from whet.core.rng import Rng
from whet.core.text_view import TextView
from whet.methods.augment_text import wordnet
from whet.render.text import render_texts

BATCH, TEXTS, ALPHA = 32, 640, 0.1
Run = Callable[[list[str]], list[str]]

OPERATIONS = {
    "synonym_replacement": ({"fraction": ALPHA}, {"kind": "synonym"}),
    "random_swap": ({"fraction": ALPHA}, {"kind": "random", "action": "swap"}),
    "random_deletion": ({"fraction": ALPHA}, {"kind": "random", "action": "delete"}),
}


def whet(name: str, settings: dict[str, Any]) -> Run:
    (method,) = parse_methods([{name: {**settings, "prob": 1}}])
    epoch = iter(range(10**9))

    def run(texts: list[str]) -> list[str]:
        return render_texts(_drawn(method, texts, next(epoch)))

    return run


def _drawn(method: Method, texts: list[str], epoch: int) -> TextView:
    return method.draw(TextView.whole(texts), Rng(0).batch(method.name, epoch, np.arange(len(texts))))  # type: ignore[attr-defined]


def nlpaug(kinds: list[dict[str, str]]) -> Run:
    import nlpaug.augmenter.word as words

    made = []
    for kind in kinds:
        settings = {key: value for key, value in kind.items() if key != "kind"}
        make = words.SynonymAug if kind["kind"] == "synonym" else words.RandomWordAug
        made.append(make(aug_p=ALPHA, aug_min=1, aug_max=None, **settings))

    def run(texts: list[str]) -> list[str]:
        return [made[number % len(made)].augment(text)[0] for number, text in enumerate(texts)]

    return run


@contextmanager
def same_wordnet(folder: Path) -> Iterator[str]:
    """nlpaug reads the same files; what nltk asks for besides (lexnames) is written beside copies of them. Says which tagger."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    theirs = importlib.import_module("nlpaug.model.word_dict.wordnet")
    with tempfile.TemporaryDirectory() as beside:
        for file in folder.iterdir():
            shutil.copy(file, beside)
        kinds = "333" + "1" * 26 + "2" * 15 + "3"
        lines = "".join(f"{number:02d}\tname{number}\t{kind}\n" for number, kind in enumerate(kinds))
        if not (Path(beside) / "lexnames").exists():
            (Path(beside) / "lexnames").write_text(lines)
        nltk.data.path.insert(0, beside)
        WordNetCorpusReader.map_wn = lambda self: None  # to other releases: not needed, not there
        theirs.wordnet = WordNetCorpusReader(beside, None)
        try:
            nltk.pos_tag(["word"])
            tagger = "nltk's tagger"
        except LookupError:
            theirs.WordNet.pos_tag = classmethod(lambda cls, tokens: [(token, "NN") for token in tokens])
            tagger = "none: every word a noun"
        yield tagger


def compared(contenders: dict[str, Run], batches: list[list[str]], repeats: int) -> dict[str, Any]:
    """Texts a second of processor time of each, and how many times faster whet was, repeat by repeat."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    changed: dict[str, float] = {}
    for name, run in contenders.items():  # warm up: words looked up once are known
        pairs = [(old, new) for batch in batches for old, new in zip(batch, run(batch))]
        changed[name] = sum(old.split() != new.split() for old, new in pairs) / len(pairs)
    for _ in range(repeats):
        taken = dict.fromkeys(contenders, 0.0)
        for batch in batches:
            for name, run in contenders.items():
                start = time.process_time()
                run(batch)
                taken[name] += time.process_time() - start
        for name, value in taken.items():
            seconds[name].append(value)
    count = sum(len(batch) for batch in batches)
    return {
        "texts_per_second": {name: record.summary([count / value for value in all_]) for name, all_ in seconds.items()},
        "share_of_texts_changed": changed,
        "whet_times_nlpaug": record.summary([a / b for a, b in zip(seconds["nlpaug"], seconds["whet"])]),
    }


def shown(title: str, found: dict[str, Any]) -> None:
    rates = "  ".join(f"{name} {values['median']:7.0f}/s" for name, values in found["texts_per_second"].items())
    times = found["whet_times_nlpaug"]
    print(
        f"{title:20s} {rates}   {times['median']:.1f}x ({times['min']:.1f} … {times['max']:.1f})   changed "
        + ", ".join(f"{name} {100 * share:.0f} %" for name, share in found["share_of_texts_changed"].items()),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    if importlib.util.find_spec("nlpaug") is None:
        sys.exit("nothing measured: nlpaug is not installed (pip install nlpaug==1.1.11)")
    folder = wordnet.find()
    if folder is None or not folder.is_dir():
        sys.exit("nothing measured: no WordNet folder here (apt install wordnet-base, or WNSEARCHDIR=…)")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for everyone
    with open(record.SHARED / "text" / "sst2" / "train.csv", encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    chosen = [texts[i] for i in np.linspace(0, len(texts) - 1, TEXTS).astype(int)]
    batches = [chosen[i : i + BATCH] for i in range(0, TEXTS, BATCH)]
    results: dict[str, Any] = {"texts": f"{TEXTS} of SST-2, {np.mean([len(t.split()) for t in chosen]):.1f} words each"}
    with same_wordnet(folder) as results["tagger_of_nlpaug"]:
        contenders = {
            "whet": whet("eda", {"alpha": ALPHA}),
            "nlpaug": nlpaug([theirs for _, theirs in OPERATIONS.values()]),
        }
        results["policy"] = compared(contenders, batches, repeats)
        shown("EDA policy", results["policy"])
        results["operations"] = {}
        for name, (ours, theirs) in OPERATIONS.items():
            contenders = {"whet": whet(name, ours), "nlpaug": nlpaug([theirs])}
            results["operations"][name] = compared(contenders, batches, repeats)
            shown(name, results["operations"][name])
    question = (
        "augmenting texts on one core (processor time), whet and nlpaug in turn: the EDA policy and its operations"
    )
    record.write("augment_text", question, results, ("nlpaug", "nltk"))


if __name__ == "__main__":
    main()
