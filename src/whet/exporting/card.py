"""The model card of a bundle, README.md."""

from __future__ import annotations

from typing import Any

from whet.core.evidence import Metric
from whet.core.task import task_named

_NEEDS = {"image": "Pillow", "audio": "soundfile", "text": "tokenizers"}


def model_card(info: dict[str, Any], run: str) -> str:
    """Markdown. info: the contents of bundle.json. run: the name of the run."""
    sections = [
        [
            f"# {run}",
            f"{info['problem']}, {len(info['classes'])} classes: {', '.join(info['classes'])}. "
            f"Network: {info['architecture']}, {info['parameters']:,} parameters. Exported by whet {info['versions']['whet']}.",
        ],
        ["## Use", *_use(info)],
        ["## Measured", *_measured(info)],
        ["## Limits", *_limits(info)],
    ]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _use(info: dict[str, Any]) -> list[str]:
    decision = info["decision"]
    unsure = decision["unsure"].replace("unsure_below", f"{100 * decision['unsure_below']:g} %")
    sample = '--text "A TEXT"' if info["medium"] == "text" else "FILE …"
    return [
        f"```\npip install onnxruntime numpy {_NEEDS[info['medium']]}\npython predict.py {sample}\n```",
        f"Input: {info['input']['words']}.",
        f"Prediction: {decision['words']}" + (f". It is unsure {unsure}." if unsure else "."),
    ]


def _measured(info: dict[str, Any]) -> list[str]:
    exported, recorded, parity = info["metrics"]["exported"], info["metrics"]["recorded"], info["parity"]
    metric = task_named(info["task"]).metrics[parity["metric"]]
    interval = exported.get(f"{parity['metric']}_interval")
    between = "" if interval is None else f" (95 % interval {metric.text(interval[0])} to {metric.text(interval[1])})"
    classes = [_class_row(one) for one in exported.get("per_class", ())]
    return [
        f"| | {metric.title} on {parity['samples']:,} {parity['split']} samples |\n|---|---|\n"
        f"| this file ({exported['dtype']}) | {metric.shown(exported[parity['metric']])}{between} |\n"
        f"| recorded by the run ({recorded['dtype']}) | {metric.shown(recorded[parity['metric']])} |",
        *(_compressed(entry, metric) for entry in info["compression"]),
        ("Before it was stored in int8: scores" if exported["dtype"] == "int8" else "Scores")
        + f" of {parity['compared']} samples differ from torch in single precision by at most "
        f"{parity['largest_difference']:.2g}; the largest score is {parity['largest_score']:.3g}. A sample takes "
        f"{1e3 * parity['seconds_per_sample']:.1f} ms, decoding included, on the machine that exported it.",
        "\n".join(["| class | samples | precision | recall |", "|---|---|---|---|", *classes]),
    ]


def _compressed(entry: dict[str, Any], metric: Metric) -> str:
    """What a method that makes the model smaller cost and gained, or why it was undone."""
    name = ", ".join([*entry["method"], *(f"without {one}" for one in entry.get("left_out", ()))])
    if "undone" in entry:
        return f"{name} was undone: {entry['undone']}."
    if "bytes" not in entry:
        what = f"{entry['words']} ({name})" if name and "words" in entry else entry.get("words", name)
        return f"{what}: {entry['parameters']['before']:,} -> {entry['parameters']['after']:,} parameters."
    cost, size, ms = entry["cost"], entry["bytes"], entry["milliseconds"]
    return (
        f"{name} ({entry['words']}) costs {metric.text(cost['mean'])} points of {metric.title} on {entry['samples']:,} "
        f"{entry['split']} samples (95 % interval {metric.text(cost['low'])} to {metric.text(cost['high'])}), against the same "
        f"model in single precision: {ms['before']:.1f} -> {ms['after']:.1f} ms of processor time a sample, "
        f"{size['before'] / 1e6:.1f} -> {size['after'] / 1e6:.1f} MB."
    )


def _class_row(one: dict[str, Any]) -> str:
    cells = [f"{100 * one[key]:.1f} %" if one.get(key) is not None else "" for key in ("precision", "recall")]
    return f"| {one['name']} | {one.get('samples', one.get('images', ''))} | {' | '.join(cells)} |"


def _limits(info: dict[str, Any]) -> list[str]:
    split, golden = info["parity"]["split"], len(info["golden"])
    return [
        f"The figures hold for data like those of the {split} split. A sample of none of the classes is still assigned "
        "to one. bundle.json has all metrics, the versions of the libraries, and the SHA-256 of every file.",
        f"`golden/` holds {golden} samples of the {split} split, whose scores are in bundle.json. They are data of the person who "
        "trained the model; `whet export --golden 0` leaves them out."
        if golden
        else "The bundle holds no samples.",
    ]
