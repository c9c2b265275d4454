"""The page over all results of a folder."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from whet.board.curves import curves_of
from whet.board.pairs import MOST_PAIRS, Samples, compared, to_dict
from whet.core import strict_json
from whet.core.language import language, tr, translated
from whet.core.output import claim_file, write_whole
from whet.core.task import metrics_of_all_tasks
from whet.report import text
from whet.report.build import rendered, script_of
from whet.run_index import KINDS, STATES, Entry, Gain, Score, list_runs

_TRAINED = ("training", "ensemble")  # kinds that are compared


@dataclass(frozen=True)
class Board:
    """The results of a folder, for the page. reports: the report of each result, by its name: its path below the folder."""

    folder: Path
    entries: list[Entry]

    @property
    def reports(self) -> dict[str, Path]:
        return {self.name(one.path): one.report for one in self.entries if one.report is not None}

    def name(self, path: Path) -> str:
        """The path below the folder, with slashes; the name of the folder itself."""
        below = Path(os.path.relpath(path, self.folder)).as_posix()
        return self.folder.resolve().name if below == "." else below

    def data(self, link: Callable[[str, Path], str], *, live: bool) -> dict[str, Any]:
        """What the page shows. link: (name, report) -> the address of the report."""
        runs = [one.path for one in self.entries if one.kind in _TRAINED and one.state == "finished"]
        names = {one.path: self.name(one.path) for one in self.entries}
        return {
            "live": live,
            "entries": [self._entry(one, link) for one in self.entries],
            "samples": [to_dict(found, names) for found in _compared(_as_they_are(runs))],
            "metrics": {
                name: {"title": translated(one.title), "share": one.is_share, "smaller": one.smaller_is_better}
                for name, one in metrics_of_all_tasks().items()
            },
            "words": _words(),
        }

    def _entry(self, one: Entry, link: Callable[[str, Path], str]) -> dict[str, Any]:
        name = self.name(one.path)
        return {
            "id": name,
            "kind": one.kind,
            "kind_shown": translated(KINDS[one.kind]),
            "state": one.state,
            "state_shown": translated(STATES[one.state]),
            "started": one.started.isoformat(timespec="minutes"),
            "seconds": one.seconds,
            "time": text.seconds(one.seconds) if one.seconds is not None else "",
            "failure": one.failure,
            "data": _last(one.data),
            "task": one.task,
            "network": text.short_name(one.network) if one.network else "",
            "weights": one.weights if one.weights in ("", "none", "auto") else _last(one.weights),
            "recipe": one.recipe,
            "methods": list(one.methods),
            "seed": one.seed,
            "score": _score(one.score),
            "gain": _gain(one.gain),
            "best_run": self.name(one.best_run) if one.best_run is not None else None,
            "parent": self.name(one.parent) if one.parent is not None else None,
            "report": link(name, one.report) if one.report is not None else None,
            "curves": curves_of(one.path) if one.kind in (*_TRAINED, "pretraining") else None,
        }


def _as_they_are(runs: Sequence[Path]) -> tuple[tuple[Path, int], ...]:
    """Each run with the time of its result."""
    found = ((path, path / "metrics.json") for path in runs)
    return tuple((path, metrics.stat().st_mtime_ns) for path, metrics in found if metrics.is_file())


@functools.lru_cache(maxsize=1)
def _compared(runs: tuple[tuple[Path, int], ...]) -> list[Samples]:
    """A live page is made anew at every step of a training, which changes no comparison."""
    return compared([path for path, _ in runs])


def read_board(folder: str | Path) -> Board:
    """Read all results of a folder, also those inside of studies. Raises RunError if it does not exist."""
    return Board(Path(folder), list_runs(folder, inner=True))


def write_board(folder: str | Path, out: str | Path, *, force: bool = False) -> Board:
    """Write the page as one file. Links to reports are relative to it. Raises RunError, and OutputError where `claim_file` does."""
    path = claim_file(out, force=force)
    board = read_board(folder)
    below = path.absolute().parent

    def link(_: str, report: Path) -> str:
        return quote(Path(os.path.relpath(report.absolute(), below)).as_posix())

    write_whole(path, html(board.folder.resolve().name, board.data(link, live=False)))
    return board


def html(name: str, data: Mapping[str, Any]) -> str:
    """The page. It runs no other script than its own, whatever a run is called."""
    script, digest = script_of("board.js")
    # In a script element, only "<" could end the data.
    embedded = strict_json.dumps(data, indent=None).replace("<", "\\u003c")
    version = importlib.metadata.version("whet")
    return rendered(
        "board.html", name=name, title=f"{name} · whet board", language=language(), version=version, live=data["live"],
        script=Markup(script), script_hash=digest, data=Markup(embedded), most_pairs=MOST_PAIRS,
    )  # fmt: skip


def _last(path: str) -> str:
    """The last part, so that the page contains no path of a machine."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def _score(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    metric = metrics_of_all_tasks()[score.metric]
    ends = [metric.text(end) for end in (score.low, score.high) if end is not None]
    return {
        "metric": score.metric,
        "title": translated(metric.title),
        "value": round(score.value, 5),
        "low": score.low,
        "high": score.high,
        "part": score.part,
        "part_shown": translated(text.part_name(score.part)),
        "samples": score.samples,
        "merit": round(score.merit, 5),
        "text": metric.shown(score.value),
        "interval": text.between(*ends) if len(ends) == 2 else "",
    }


def _gain(gain: Gain | None) -> dict[str, Any] | None:
    metric = metrics_of_all_tasks().get(gain.metric) if gain is not None else None
    if gain is None or metric is None:
        return None
    mean, low, high = (metric.text(value, "+").replace("-", "−") for value in (gain.mean, gain.low, gain.high))
    return {
        "mean": mean,
        "interval": text.between(low, high),
        "unit": text.unit_of(metric),
        "verdict": gain.verdict,
        "verdict_shown": translated(gain.verdict),
    }


def _words() -> dict[str, Any]:
    """The sentences of the page that its script shows. In braces: what the script fills in."""
    braces = {
        name: f"{{{name}}}" for name in ("n", "a", "b", "part", "metric", "unit", "seeds", "low", "high", "command")
    }
    return {
        "all": tr("all"),
        "shown": tr("{n} shown", **braces),
        "nothing": tr("Nothing matches the filters."),
        "chosen": tr("{n} chosen for the curves", **braces),
        "epoch": tr("epoch"),
        "loss": tr("Training loss"),
        "validation": tr("{metric}, validation", **braces),
        "no_curves": tr("Choose runs in the table to see their curves."),
        "other_metric": tr("Runs with another metric are not shown here."),
        "difference": tr("difference"),
        "interval": tr("95 % interval"),
        "between": text.between("{low}", "{high}"),
        "points": tr("percentage points"),
        "minus": tr("{b} minus {a}", **braces),
        "paired": tr("Paired on the same {n} {part} samples; common seeds: {seeds}.", **braces),
        "test": tr("test"),
        "val": tr("validation"),
        "smaller": tr("Smaller is better."),
        "too_few": tr("Fewer than three seeds give no verdict: another seed may reverse the difference."),
        "same_recipe": tr("Two runs of one recipe: they differ by chance alone (the seed)."),
        "other_samples": tr("These two were not evaluated on the same samples, so they cannot be paired."),
        "no_pair": tr("This pair is not on the page. To compare it: {command}", **braces),
        "one_of_many": tr("The verdict is for this pair alone. Among many pairs, some differ by chance."),
        "network": tr("network"),
        "weights": tr("weights"),
        "data": tr("data"),
        "recipe": tr("recipe"),
        "seed": tr("seed"),
        "time": tr("time"),
        "score": tr("score"),
        "only": tr("methods of this one alone"),
        "none": tr("none"),
        "verdicts": {
            name: translated(name)
            for name in ("helps", "hurts", "no difference worth having", "undecided", "not assessed")
        },
        "report": tr("report"),
        "best": tr("best run: {a}", **braces),
        "inside": tr("in {a}", **braces),
        "updated": tr("updated {a}", **braces),
        "lost": tr("The server does not answer."),
    }


def kinds_of(entries: Sequence[Entry]) -> dict[str, int]:
    """How many results of each kind there are."""
    found: dict[str, int] = {}
    for one in entries:
        found[one.kind] = found.get(one.kind, 0) + 1
    return found
