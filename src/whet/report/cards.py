"""Results as small pieces of HTML, which notebooks show in place of their `repr`. They have the colours of the notebook."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from whet.core.evidence import Metric
from whet.core.language import tr, tr_n, translated
from whet.core.run_folder import RunFolder
from whet.core.task import metric_named
from whet.evaluate.compare import Comparison, Group
from whet.evaluate.difference import HELPS, HURTS
from whet.report import text
from whet.report.build import rendered
from whet.report.sections import gain, headline

_FINDINGS, _TRIALS = 12, 5  # rows of a table
_LEAST_REACH = 1e-3  # of the axis of differences, so that differences of zero have one
_KINDS: dict[str, str] = {HELPS: "good", HURTS: "bad"}


@dataclass(frozen=True)
class Span:
    """A value with its interval on an axis. All are shares of the axis, 0 … 1. zero: where a difference is zero, or None."""

    low: float
    value: float
    high: float
    zero: float | None = None


@dataclass(frozen=True)
class Card:
    """kind: what it shows. figure: the main result, with its unit and what it is. header: a column without a title holds spans; the
    first column is text, others are numbers. notes: sentences. plots: methods that draw figures. link: a page."""

    kind: str
    title: str
    lead: Sequence[str] = ()
    figure: str = ""
    unit: str = ""
    what: str = ""
    span: Span | None = None
    span_text: str = ""
    tiles: Sequence[tuple[str, str, str]] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    notes: Sequence[str] = ()
    plots: Sequence[str] = ()
    page: Path | None = None
    marks: Mapping[int, str] = field(default_factory=dict)  # row -> good, bad or unsure
    words: bool = False  # whether all columns are text

    def html(self) -> str:
        link = None if self.page is None else Path(os.path.relpath(self.page)).as_posix()
        return rendered("card.html", card=self, link=link, address=link and quote(link), is_span=_is_span)


def _is_span(cell: Any) -> bool:
    return isinstance(cell, Span)


def _axis(ends: Sequence[float]) -> float:
    """How far an axis around zero reaches."""
    return 1.1 * max([_LEAST_REACH, *map(abs, ends)])


def _around_zero(low: float, value: float, high: float, reach: float) -> Span:
    low, value, high = (0.5 + 0.5 * end / reach for end in (low, value, high))
    return Span(low, value, high, zero=0.5)


def of_run(folder: RunFolder) -> str:
    """A run: its headline metric with the interval, and what it cost."""
    if not folder.finished:
        note = tr("This run has not finished; whet.resume continues it.")
        return Card(tr("run"), folder.name, notes=[note]).html()
    found = headline.context(folder)
    interval, result = found["interval"], found["result"]
    samples = tr_n("{n:,} sample", "{n:,} samples", result["samples"])
    lead = [found["model"], tr("{n:,} training samples", n=found["train_samples"]), found["shown"]]
    if found["needs_labels"]:
        lead.insert(1, tr_n("{n} class", "{n} classes", len(found["classes"])))
    cost = found["cost"]
    return Card(
        kind=tr("run"),
        title=found["name"],
        lead=[*lead, tr("seed {seed}", seed=found["seed"])],
        figure=found["figure"],
        what=tr("{what!t} on {part!t} samples", what=found["what"], part=found["part"]) + f" ({samples})",
        span=Span(interval[0], found["share"], interval[1]) if interval else None,
        span_text=_interval(text.percent(interval[0]), text.percent(interval[1])) if interval else "",
        tiles=[
            *found["tiles"],
            (tr("total time"), text.seconds(cost["total_seconds"]), tr("{epochs:.1f} epochs", epochs=cost["epochs"])),
            (tr("inference time per sample"), text.seconds(cost["seconds_per_sample"]), ""),
        ],
        notes=[tr("There is no test split; validation samples also chose the model, so these metrics are optimistic.")]
        if found["evaluated_on_val"] else [],
        plots=["plot_curves()", *(f"plot_{name}()" for name in ("confusion", "calibration") if name in folder.task.sections)],
        page=folder.report,
    ).html()  # fmt: skip


def _interval(low: str, high: str) -> str:
    return tr("95 % interval {low} to {high}", low=low, high=high)


def of_comparison(reference: Group, found: Sequence[Comparison]) -> str:
    """Recipes compared with the first one, on the same samples."""
    metric = reference.evidence[0].task.metric(reference.metric)
    reach = _axis([end for one in found for end in (one.difference.low, one.difference.high)])
    first = [reference.name, len(reference.seeds), _mean(reference, metric), "", None, "", tr("reference")]
    rows = [
        [
            one.group.name, len(one.group.seeds), _mean(one.group, metric), _signed(metric, one.difference.mean),
            _around_zero(one.difference.low, one.difference.mean, one.difference.high, reach),
            text.between(_signed(metric, one.difference.low), _signed(metric, one.difference.high)), translated(one.verdict),
        ]
        for one in found
    ]  # fmt: skip
    samples, unit = reference.samples_text, text.unit_of(metric)
    notes = [tr("Paired on the same {samples!t}; differences in {unit}.", samples=samples, unit=unit)]
    if metric.smaller_is_better:
        notes.append(tr("Smaller is better."))
    if any(not one.difference.assessed for one in found):
        notes.append(tr("Fewer than three seeds give no verdict: another seed may reverse the difference."))
    names = ", ".join(one.group.name for one in found)
    header = [
        tr("recipe"), tr("seeds"), translated(metric.title), tr("difference"), "", tr("95 % interval"), tr("verdict"),
    ]  # fmt: skip
    return Card(
        kind=tr("comparison"), title=tr("{names} against {reference}", names=names, reference=reference.name),
        header=header, rows=[first, *rows], notes=notes, plots=["plot_differences()"],
        marks={row: _KINDS[one.verdict] for row, one in enumerate(found, 1) if one.verdict in _KINDS},
    ).html()  # fmt: skip


def _mean(group: Group, metric: Metric) -> str:
    spread = f" ± {metric.text(group.value_S.std(ddof=1))}" if len(group.seeds) > 1 else ""
    return f"{metric.text(float(group.value_S.mean()))}{spread}{' %' if metric.is_share else ''}"


def _signed(metric: Metric, value: float) -> str:
    return metric.text(value, "+").replace("-", "−")


def of_study(path: Path) -> str:
    """A study: the effect of each technique with its interval and verdict."""
    story = RunFolder(path).read_json(path / "study.json")
    metric = metric_named(story["metric"])
    effects = story["effects"]
    reach = _axis([end for one in effects if one["seeds"] for end in (one["low"], one["high"])])
    rows = [
        [
            translated(one["factor"]), _signed(metric, one["effect"]), _around_zero(one["low"], one["effect"], one["high"], reach),
            text.between(_signed(metric, one["low"]), _signed(metric, one["high"])), f"{text.points(one['time'] - 1, 0)} %",
            translated(one["verdict"]),
        ] if one["seeds"] else [translated(one["factor"]), "", None, "", "", translated(one["verdict"])]
        for one in effects
    ]  # fmt: skip
    notes = [_confirmed(story["confirmed"], metric)] if story["confirmed"] else []
    if not story["changed"]:
        notes.append(tr("No effect was certain enough to change the recipe."))
    elif story["adopted"]:
        notes.append(tr("Changed in the recommended recipe: {names}.", names=", ".join(story["changed"])))
    else:
        notes.append(tr("Not adopted, because not confirmed: {names}.", names=", ".join(story["changed"])))
    return Card(
        kind=tr("study"),
        title=story["name"],
        lead=[
            tr_n("{n} run of {each}", "{n} runs of {each}", story["runs"], each=text.duration(story["each"])),
            tr_n("{n} seed", "{n} seeds", story["seeds"]),
            tr("{n:,} validation samples", n=story["samples"]),
            text.seconds(story["seconds"]),
        ],
        header=[tr("technique"), text.unit_of(metric), "", tr("95 % interval"), tr("training time"), tr("verdict")],
        rows=rows,
        notes=notes,
        plots=["plot_effects()", "plot_cost()"],
        page=path / "report.html",
        marks={row: _KINDS[one["verdict"]] for row, one in enumerate(effects) if one["verdict"] in _KINDS},
    ).html()


def _confirmed(found: Mapping[str, Any], metric: Metric) -> str:
    return tr(
        "With new seeds, the changed recipe differs from the original by {mean} ({low} to {high}) on {samples:,} {part!t} samples: "
        "{verdict!t}.",
        mean=_signed(metric, found["mean"]), low=_signed(metric, found["low"]), high=_signed(metric, found["high"]),
        samples=found["samples"], part="test" if found["part"] == "test" else "validation", verdict=found["verdict"],
    )  # fmt: skip


def of_improvement(path: Path) -> str:
    """An improvement: the gain over the plain recipe, and every recipe that was compared."""
    story = RunFolder(path).read_json(path / "improvement.json")
    found = story["difference"]
    groups = sorted(story["groups"].items(), key=lambda item: -item[1]["value"])
    reach = _axis([end for _, group in groups if (d := group["difference"]) for end in (d["low"], d["high"])])
    rows = []
    for name, group in groups:
        value = text.percent(group["value"]) + (f" ± {text.percent(group['std'])}" if group["std"] is not None else "")
        if d := group["difference"]:
            interval = text.between(text.points(d["low"]), text.points(d["high"]))
            compared = [text.points(d["mean"]), _around_zero(d["low"], d["mean"], d["high"], reach), interval]
        else:
            compared = ["", None, tr("reference")]
        rows.append([translated(name), value, *compared, text.seconds(group["seconds"])])
    return Card(
        kind=tr("improvement"),
        title=story["name"],
        lead=[
            tr_n("{n} seed", "{n} seeds", found["seeds"]),
            tr("{n:,} test samples", n=found["samples"]),
            text.seconds(story["seconds"]),
        ],
        figure=text.points(found["mean"]),
        unit=tr("percentage points"),
        what=tr(
            "{metric!t}, {recommended!t} minus plain recipe", metric=story["metric"], recommended=story["recommended"]
        ),
        span=_around_zero(found["low"], found["mean"], found["high"], _axis([found["low"], found["high"]])),
        span_text=_interval(text.points(found["low"]), text.points(found["high"])),
        header=[
            tr("recipe"),
            translated(story["metric"]),
            tr("difference"),
            "",
            tr("95 % interval"),
            tr("training time"),
        ],
        rows=rows,
        notes=[gain.sentence(found["verdict"], story["recommended"]), tr("The model to use: {run}.", run=story["best_run"])],
        plots=["plot_differences()"],
        page=path / "report.html",
    ).html()  # fmt: skip


def of_tuning(path: Path) -> str:
    """A tuning: the values of the best trial, and whether new seeds confirm them."""
    story = RunFolder(path).read_json(path / "tuning.json")
    metric = metric_named(story["metric"])
    trials = story["trials"]
    best = next(one for one in trials if one["trial"] == story["best"])
    notes = []
    if story["confirmed"]:
        notes.append(_confirmed(story["confirmed"], metric))
    notes.append(
        tr("The recommended recipe has the tuned values.")
        if story["tuned"]
        else tr("The recommended recipe is the original one.")
    )
    return Card(
        kind=tr("tuning"),
        title=story["name"],
        lead=[tr_n("{n} trial", "{n} trials", len(trials)), text.seconds(story["seconds"])],
        figure=metric.shown(best["score"]),
        what=tr("{metric!t} of the best trial on the validation samples", metric=metric.title),
        header=[tr("setting"), tr("original"), tr("best trial")],
        rows=[[one["key"], _value(one["was"]), _value(best["values"][one["key"]])] for one in story["space"]],
        notes=notes,
        plots=["plot_trials()", "plot_importances()"],
        page=path / "report.html",
    ).html()  # fmt: skip


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def of_architectures(path: Path) -> str:
    """Architectures, the best first: their metric, their difference from the best, and what they cost."""
    story = RunFolder(path).read_json(path / "architectures.json")
    rows = sorted((one for one in story["architectures"] if one["runs"]), key=lambda one: -one["value"])
    low, high = min((one["low"] for one in rows), default=0.0), max((one["high"] for one in rows), default=1.0)

    def place(value: float) -> float:
        return (value - low) / max(high - low, 1e-9)

    def of_best(difference: Mapping[str, Any] | None) -> str:
        if difference is None:
            return ""
        interval = text.between(text.points(difference["low"]), text.points(difference["high"]))
        return f"{text.points(difference['mean'])} ({interval})"

    return Card(
        kind=tr("architectures"),
        title=story["name"],
        lead=[tr("{budget} each", budget=text.duration(story["budget"])), tr("{n:,} samples", n=story["samples"])],
        header=[
            tr("architecture"), translated(story["metric"] or ""), "", tr("difference from best"), tr("training"), tr("inference"),
        ],
        rows=[
            [
                one["name"], text.percent(one["value"]), Span(*map(place, (one["low"], one["value"], one["high"]))),
                of_best(one["difference"]), text.seconds(one["train_seconds"]), text.seconds(one["seconds_per_sample"]),
            ]
            for one in rows
        ],
        notes=[tr("Best on the validation samples: {name}.", name=story["best"])] if story["best"] else [],
        plots=["plot_cost()"] if rows else [],
        page=path / "report.html",
        marks={row: "good" for row, one in enumerate(rows) if one["name"] == story["best"]},
    ).html()  # fmt: skip


def of_check(findings: Sequence[Any], kept: int, excluded: int, page: Path | None) -> str:
    """A check of data: its findings, the most serious first."""
    names = {"problem": tr("problem"), "warning": tr("warning"), "fact": tr("fact")}
    marks = {"problem": "bad", "warning": "unsure"}
    shown = findings[:_FINDINGS]
    more = len(findings) - len(shown)
    return Card(
        kind=tr("check"),
        title=tr("Data check"),
        tiles=[
            (tr("problems"), str(sum(one.severity == "problem" for one in findings)), tr("results would be wrong")),
            (tr("warnings"), str(sum(one.severity == "warning" for one in findings)), tr("results may be wrong")),
            (tr("after cleaning"), text.count(kept), tr("{n:,} excluded", n=excluded)),
        ],
        header=[tr("severity"), tr("check"), tr("finding")],
        rows=[[names[one.severity], translated(one.kind), translated(one.text)] for one in shown],
        notes=[tr("and {n} more", n=more)] if more else [],
        page=page,
        words=True,
        marks={row: marks[one.severity] for row, one in enumerate(shown) if one.severity in marks},
    ).html()
