"""From runs to what is written down: effects with their intervals, costs, verdicts, and the tables that show them."""

from __future__ import annotations

import json
import runpy
import statistics
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import record
from decisions import certain
from method_placements import BIT_EQUAL, UNABLE, helpers_of
from method_runs import Run
from method_settings import SETTINGS, Setting
from whet.core.measured import Measured, support
from whet.core.registry import registry
from whet.evaluate import compare
from whet.evaluate.difference import HELPS, HURTS, Difference, crossed_interval
from whet.tasks import SINGLE_LABEL

if TYPE_CHECKING:
    from methods import Cell, Comparison

LEAST_SEEDS, PACES = 3, 3
MEASURED = record.ROOT / "src" / "whet" / "methods" / "measured.json"
LOG = record.ROOT / "docs" / "log.md"
BEGIN, END = "<!-- methods: written by benchmarks/methods.py -->", "<!-- end of methods -->"

Rows = dict[str, list[dict[str, Any]]]
"""What is known of each method, by name: a row for every setting."""


# --- one method in one setting ----------------------------------------------------------------------------------------
def row_of(comparison: Comparison, cell: Cell) -> dict[str, Any] | None:
    """The row of the results; None while there are too few seeds."""
    runs, (without, with_it) = comparison.runs, comparison.sides(cell)
    row: dict[str, Any] = {"setting": cell.setting.name, "how": how(comparison, cell)}
    if reason := runs.refused(with_it) or runs.refused(without):
        return {**row, "verdict": "cannot act", "reason": _shortened(reason)}
    seeds = sorted(set(runs.seeds(without)) & set(runs.seeds(with_it)))
    if len(seeds) < LEAST_SEEDS:
        return None
    a, b = ([run for seed in seeds if (run := runs.get(key, seed))] for key in (without, with_it))
    label_N = cell.setting.test_labels
    found = difference(cell.metric, a, b, label_N)
    if all((x.answers, x.losses) == (y.answers, y.losses) for x, y in zip(a, b)):
        return {**row, "verdict": "cannot act", "reason": UNABLE.get(cell.method.name, BIT_EQUAL)}
    paces = runs.of(comparison.plain(cell.setting.name, 0).key)
    return {
        **row,
        "verdict": _verdict(found),
        "metric": cell.metric,
        "plain": statistics.fmean(value(cell.metric, run, label_N) for run in a),
        "effect": found.mean,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "seeds": len(seeds),
        "time": _ratio(a, b, paces, "seconds"),
        "inference_time": _ratio(a, b, paces, "image_seconds"),
    }


def _verdict(found: Difference) -> str:
    """As the cards have it."""
    return found.verdict if found.verdict in (HELPS, HURTS) else "no evidence"


def difference(metric: str, a: list[Run], b: list[Run], label_N: np.ndarray) -> Difference:
    """The metric of b minus that of a, with its interval over seeds and test samples."""
    if metric == "log_loss":
        return replace(crossed_interval(np.stack([y.loss_N - x.loss_N for x, y in zip(a, b)])), smaller_is_better=True)
    evidence_a, evidence_b = ([certain(run.predicted_N, label_N) for run in side] for side in (a, b))
    return compare.difference(SINGLE_LABEL.metric(metric), evidence_a, evidence_b)


def value(metric: str, run: Run, label_N: np.ndarray) -> float:
    return (
        float(run.loss_N.mean())
        if metric == "log_loss"
        else SINGLE_LABEL.metric(metric).value(certain(run.predicted_N, label_N))
    )


def _ratio(a: list[Run], b: list[Run], paces: list[Run], what: str) -> float:
    """How many times as long the runs of b took as those of a, each in units of the plain run of its own time."""

    def relative(run: Run) -> float:
        near = sorted(paces, key=lambda pace: abs(pace.at - run.at))[:PACES]
        return getattr(run, what) / statistics.median(getattr(pace, what) for pace in near)

    return statistics.median(map(relative, b)) / statistics.median(map(relative, a))


def how(comparison: Comparison, cell: Cell) -> str:
    """What is not the default: hyper-parameters, companions, what stands on the other side."""
    placement, parts = cell.placement, []
    if placement.remark:
        parts.append(placement.remark)
    elif placement.values and not helpers_of(placement):
        parts.append(json.dumps(dict(placement.values)).replace('"', "").removeprefix("{").removesuffix("}"))
    parts += [f"{name}: {cell.setting.helpers[name].title}" for name in sorted(helpers_of(placement))]
    parts += [f"{companion} on both sides" for companion in placement.companions]
    if placement.against:
        other = comparison.other_side(cell)
        lr = other.method(placement.against).settings_dict().get("lr")
        parts.append(f"against {placement.against}" + (f" at {lr:g}" if lr else ""))
    elif len(recipes := comparison.candidates(cell)) > 1:
        rates = [recipe.method(cell.method.name).settings_dict()["lr"] for recipe in recipes]
        chosen = comparison.chosen(cell).method(cell.method.name).settings_dict()["lr"]
        parts.append(f"lr {chosen:g} of {', '.join(f'{rate:g}' for rate in rates)}")
    return ", ".join(parts)


def _shortened(reason: str) -> str:
    """The first sentence of a refusal, fit for a cell of a table."""
    return reason.split("\n")[0].split(". ")[0].replace("|", "/")


# --- all of them --------------------------------------------------------------------------------------------------------
def results(comparison: Comparison) -> dict[str, Any]:
    """What goes into benchmarks/results/methods.json: methods not measured by now keep what an earlier call wrote."""
    earlier = record.earlier("methods")
    rows: Rows = dict(earlier.get("methods", {}))
    for name in {cell.method.name for cell in comparison.cells}:
        found = [row_of(comparison, cell) for cell in comparison.cells if cell.method.name == name]
        if all(row is not None for row in found):
            rows[name] = [row for row in found if row is not None]
    rows = {name: rows[name] for name in sorted(rows) if name in registry()}
    _mark_certain(rows)
    settings = earlier.get("settings", {}) | {setting.name: _described(setting) for setting in comparison.settings}
    return {"settings": settings, "methods": rows}


def _mark_certain(rows: Rows, level: float = 0.05) -> None:
    """Holm's correction over every comparison that was made. Source: Holm 1979."""
    tested = sorted((row for row in _flat(rows) if "p" in row), key=lambda row: row["p"])
    stands = True
    for place, row in enumerate(tested):
        stands = stands and row["p"] <= level / (len(tested) - place)
        row["certain"] = stands and row["verdict"] in ("helps", "hurts")


def _flat(rows: Rows) -> Iterator[dict[str, Any]]:
    return (row for several in rows.values() for row in several)


def _described(setting: Setting) -> dict[str, Any]:
    counts = pd.read_csv(setting.path)["split"].value_counts()
    recipe = setting.plain()
    return {
        "title": setting.title,
        "images": {split: int(counts[split]) for split in ("train", "val", "test")},
        "network": "mobilenet_v1_0.25_128, pretrained" if recipe.model.weights != "none" else recipe.model.architecture,
        "plain": [{method.name: method.settings_dict()} for method in recipe.methods],
        **{key: str(recipe.train.model_dump(mode="json")[key]) for key in ("budget", "batch_size", "image_size")},
        "helpers": {name: helper.title for name, helper in setting.helpers.items()},
    }


def conditions(name: str, about: dict[str, Any]) -> str:
    """'250 images, 20 epochs, resnet9_slim': what a setting's recipes learn from, for how long, and with which network."""
    samples = {"image": "images", "text": "texts", "audio": "clips"}[SETTINGS[name].task.split("-")[0]]
    budget = str(about["budget"]).replace("ep", " epochs")
    return f"{about['images']['train']:,} {samples}, {budget}, {about['network']}"


def measured_rows(results: dict[str, Any]) -> dict[str, list[Measured]]:
    """The rows of the cards."""
    titles = {name: about["title"] for name, about in results["settings"].items()}
    known = {name: conditions(name, about) for name, about in results["settings"].items()}
    return {
        name: [
            Measured(
                data=titles.get(row["setting"], "any data"),
                conditions=known.get(row["setting"], ""),
                **{key: value for key, value in row.items() if key not in ("setting", "p")},
            )
            for row in rows
        ]
        for name, rows in results["methods"].items()
    }


# --- written down -------------------------------------------------------------------------------------------------------
def write(results: dict[str, Any]) -> None:
    question = "each method added to a plain recipe: effect on the test samples, paired seeds, and cost"
    record.write("methods", question, results, ("transformers", "lightning-fabric", "opencv-python-headless"))
    rows = measured_rows(results)
    texts = {name: [_line(row) for row in several] for name, several in rows.items()}
    listed = [f"{json.dumps(name)}: [\n  " + ",\n  ".join(lines) + "\n ]" for name, lines in texts.items()]
    MEASURED.write_text("{\n " + ",\n ".join(listed) + "\n}\n", encoding="utf-8")
    print(f"written {MEASURED.relative_to(record.ROOT)}")
    runpy.run_path(str(record.ROOT / "docs" / "write_cards.py"), run_name="__main__")
    print("written docs/methods")
    LOG.write_text(with_section(LOG.read_text(encoding="utf-8"), section(results)), encoding="utf-8")
    print(f"written {LOG.relative_to(record.ROOT)}")


def _line(row: Measured) -> str:
    """A row as JSON on one line, without what has its default value."""
    default = asdict(Measured("", ""))
    plain = {key: value for key, value in asdict(row).items() if value != default[key]}
    return json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in plain.items()}, ensure_ascii=False)


def with_section(text: str, section: str) -> str:
    """The log with the section in its place: between its marks, or at the end."""
    head, begin, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2] if begin else "\n"
    return f"{head.rstrip()}\n\n{BEGIN}\n{section.strip()}\n{END}{tail}"


def section(results: dict[str, Any]) -> str:
    """The log's section: how it was measured, what it came to, and a table for each family."""
    rows = measured_rows(results)
    compared = [row for several in rows.values() for row in several if row.verdict != "cannot act"]
    helps, hurts = (sum(row.verdict == verdict for row in compared) for verdict in ("helps", "hurts"))
    certain = sum(row.certain for row in compared)
    introduction = (
        f"{len(rows)} methods, {len(compared)} comparisons (`benchmarks/methods.py`): each method added to a plain recipe. Effects "
        "are in points of accuracy (macro-F1 where classes are uneven, log-loss as such), with the 95 % interval over paired seeds "
        f"and test samples. {helps} help and {hurts} hurt; if no method did anything, one interval in forty would seem to help, "
        f"about {len(compared) / 40:.0f}. {certain} effects, in bold, stand after Holm's correction over all comparisons. Data are "
        "small and trainings short: a method for large ones cannot shine here."
    )
    lines = [
        "## Every method against the plain recipe",
        "",
        textwrap.fill(introduction, 140),
        "",
        "| setting | samples to learn, validate, test | network | plain recipe |",
        "|---|---|---|---|",
        *(_setting_line(about) for about in results["settings"].values()),
    ]
    families: dict[str, list[str]] = {}
    for name in rows:
        families.setdefault(registry().get(name).family, []).append(name)
    for family in sorted(families):
        lines += ["", f"### {family}", "", "| method | in short | effects | training time |", "|---|---|---|---|"]
        for name in families[family]:
            lines.append(f"| {name} | {support(rows[name])} | {_effects(rows[name])} | {_times(rows[name])} |")
    return "\n".join(lines)


def _setting_line(about: dict[str, Any]) -> str:
    images, size = about["images"], about["image_size"]
    size = "all of it" if size == "auto" else f"{size} px"  # texts and audio
    methods = ", ".join(next(iter(entry)) for entry in about["plain"])
    lr = next((values["lr"] for entry in about["plain"] for values in entry.values() if "lr" in values), None)
    return (
        f"| {about['title']} | {images['train']}, {images['val']}, {images['test']} | {about['network']}, "
        f"{size} | {methods} (lr {lr:g}), {about['budget']}, batches of {about['batch_size']} |"
    )


def _effects(rows: list[Measured]) -> str:
    shown = [(row.data, row.effect_text(), row.certain) for row in rows if row.verdict != "cannot act"]
    return "; ".join(f"{data} {f'**{text}**' if certain else text}" for data, text, certain in shown)


def _times(rows: list[Measured]) -> str:
    return ", ".join(f"× {row.time:.2f}" for row in rows if row.verdict != "cannot act")
