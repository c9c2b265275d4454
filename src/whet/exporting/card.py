"""The model card of a bundle, README.md, in the current language."""

from __future__ import annotations

from typing import Any

from whet.core.evidence import Metric
from whet.core.language import english, tr, tr_n, translated
from whet.core.task import task_named

_NEEDS = {"image": "Pillow", "audio": "soundfile", "text": "tokenizers"}
_PARTS = {"test": english("test"), "val": english("validation")}


def model_card(info: dict[str, Any], run: str) -> str:
    """Markdown. info: the contents of bundle.json. run: the name of the run."""
    about = tr(
        "{problem}, {n} classes: {classes}. Network: {architecture}, {parameters:,} parameters. Exported by whet {version}.",
        problem=info["problem"], n=len(info["classes"]), classes=", ".join(info["classes"]),
        architecture=info["architecture"], parameters=info["parameters"], version=info["versions"]["whet"],
    )  # fmt: skip
    sections = [
        [f"# {run}", about],
        [f"## {tr('Use')}", *_use(info)],
        [f"## {tr('Measured')}", *_measured(info)],
        [f"## {tr('Limits')}", *_limits(info)],
    ]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _use(info: dict[str, Any]) -> list[str]:
    decision = info["decision"]
    unsure = decision["unsure"].replace("unsure_below", f"{100 * decision['unsure_below']:g} %")
    sample = f'--text "{tr("A TEXT")}"' if info["medium"] == "text" else f"{tr('FILE')} …"
    return [
        f"```\npip install onnxruntime numpy {_NEEDS[info['medium']]}\npython predict.py {sample}\n```",
        tr("Input: {words!t}.", words=info["input"]["words"]),
        tr("Prediction: {words!t}.", words=decision["words"]),
        *([tr("A prediction is unsure {where!t}.", where=unsure)] if unsure else []),
    ]


def _measured(info: dict[str, Any]) -> list[str]:
    exported, recorded, parity = info["metrics"]["exported"], info["metrics"]["recorded"], info["parity"]
    metric = task_named(info["task"]).metrics[parity["metric"]]
    value, interval = metric.shown(exported[parity["metric"]]), exported.get(f"{parity['metric']}_interval")
    if interval is not None:
        value += tr(" (95 % interval {low} to {high})", low=metric.text(interval[0]), high=metric.text(interval[1]))
    title = tr(
        "{metric!t} on {samples:,} {part!t} samples",
        metric=metric.title, samples=parity["samples"], part=_PARTS[parity["split"]],
    )  # fmt: skip
    return [
        f"| | {title} |\n|---|---|\n"
        f"| {tr('this file ({dtype})', dtype=exported['dtype'])} | {value} |\n"
        f"| {tr('recorded by the run ({dtype})', dtype=recorded['dtype'])} | {metric.shown(recorded[parity['metric']])} |",
        *(_compressed(entry, metric) for entry in info["compression"]),
        _parity(exported["dtype"] == "int8", parity),
        "\n".join(
            [
                f"| {tr('class')} | {tr('samples')} | {tr('precision')} | {tr('recall')} |",
                "|---|---|---|---|",
                *map(_class_row, exported.get("per_class", ())),
            ]
        ),
    ]


def _parity(is_int8: bool, parity: dict[str, Any]) -> str:
    values = {
        "n": parity["compared"],
        "most": parity["largest_difference"],
        "largest": parity["largest_score"],
        "ms": 1e3 * parity["seconds_per_sample"],
    }
    if is_int8:
        return tr(
            "Before it was stored in int8, scores of {n} samples differed from torch in single precision by at most {most:.2g}; "
            "the largest score is {largest:.3g}. A sample took {ms:.1f} ms, decoding included, on the machine that exported it.",
            **values,
        )
    return tr(
        "Scores of {n} samples differ from torch in single precision by at most {most:.2g}; the largest score is {largest:.3g}. A "
        "sample takes {ms:.1f} ms, decoding included, on the machine that exported it.",
        **values,
    )


def _compressed(entry: dict[str, Any], metric: Metric) -> str:
    """What a method that makes the model smaller cost and gained, or why it was undone."""
    left_out = (tr("without {name}", name=one) for one in entry.get("left_out", ()))
    name, words = tr(", ").join([*entry["method"], *left_out]), entry.get("words", "")
    if "undone" in entry:
        return tr("{name} was undone: {why!t}", name=name, why=entry["undone"]) + tr(".")
    if "bytes" not in entry:
        what = tr("{words!t} ({name})", words=words, name=name) if name and words else translated(words) or name
        return tr("{name}: {before:,} -> {after:,} parameters", name=what, **entry["parameters"]) + tr(".")
    cost, size, ms = entry["cost"], entry["bytes"], entry["milliseconds"]
    return tr(
        "{name} ({words!t}) costs {cost} points of {metric!t} on {samples:,} {part!t} samples (95 % interval {low} to {high}), "
        "against the same model in single precision: {before:.1f} -> {after:.1f} ms of processor time a sample, {large:.1f} -> "
        "{small:.1f} MB.",
        name=name, words=words, cost=metric.text(cost["mean"]), metric=metric.title, samples=entry["samples"],
        part=_PARTS[entry["split"]], low=metric.text(cost["low"]), high=metric.text(cost["high"]), **ms,
        large=size["before"] / 1e6, small=size["after"] / 1e6,
    )  # fmt: skip


def _class_row(one: dict[str, Any]) -> str:
    cells = [f"{100 * one[key]:.1f} %" if one.get(key) is not None else "" for key in ("precision", "recall")]
    return f"| {one['name']} | {one.get('samples', one.get('images', ''))} | {' | '.join(cells)} |"


def _limits(info: dict[str, Any]) -> list[str]:
    part, golden = _PARTS[info["parity"]["split"]], len(info["golden"])
    held = tr_n(
        "`golden/` holds {n} sample of the {part!t} split, whose scores are in bundle.json. It is data of the person who trained "
        "the model; `whet export --golden 0` leaves it out.",
        "`golden/` holds {n} samples of the {part!t} split, whose scores are in bundle.json. They are data of the person who "
        "trained the model; `whet export --golden 0` leaves them out.",
        golden, part=part,
    )  # fmt: skip
    return [
        tr("The figures hold for data like those of the {part!t} split.", part=part),
        *(
            [tr("A sample of none of the classes is still assigned to one.")]
            if info["decision"]["rule"] == "largest"
            else []
        ),
        tr("bundle.json has all metrics, the versions of the libraries, and the SHA-256 of every file."),
        held if golden else tr("The bundle holds no samples."),
    ]
