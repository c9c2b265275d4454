"""What `whet improve` gained over the plain recipe, with its interval."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder

_SENTENCE = {
    "helps": "The {} recipe is better than the plain one.",
    "hurts": "The {} recipe is worse than the plain one here.",
    "no difference worth having": "The {} recipe and the plain one differ by less than one percentage point either way.",
    "undecided": "These runs cannot tell the {} recipe from the plain one. More seeds or test samples would narrow the interval.",
    "not judged": "With fewer than three seeds the {} recipe is not judged: another seed may turn the difference around.",
}


def context(folder: RunFolder, improvement: dict[str, Any]) -> dict[str, Any]:
    difference = improvement["difference"]
    reach = max(abs(difference["low"]), abs(difference["high"]), 0.005) * 1.15
    return {
        "name": improvement["name"],
        "difference": difference,
        "sentence": _SENTENCE[difference["verdict"]].format(improvement["answer"]),
        "groups": improvement["groups"],
        "answer": improvement["answer"],
        "metric": improvement["metric"],
        "changes": improvement["changes"],
        "ensemble": improvement["ensemble"],
        "best_run": improvement["best_run"],
        "mcnemar": improvement["mcnemar"],
        "seconds": improvement["seconds"],
        "per_class": improvement["per_class"],
        "reach": max([reach, *(abs(row["difference"]) for row in improvement["per_class"])]),
        "scale": reach,
    }
