"""The gain of `whet improve` over the plain recipe, with its interval."""

from __future__ import annotations

from typing import Any

from whet.core.run_folder import RunFolder

_SENTENCE = {
    "helps": "The {} recipe is better than the plain recipe.",
    "hurts": "The {} recipe is worse than the plain recipe on these data.",
    "no difference worth having": "The {} recipe and the plain recipe differ by less than one percentage point.",
    "undecided": "The difference between the {} recipe and the plain recipe is not distinguishable from zero. More seeds or test "
    "samples would narrow the interval.",
    "not assessed": "With fewer than three seeds, the {} recipe gets no verdict: another seed may reverse the difference.",
}


def context(folder: RunFolder, improvement: dict[str, Any]) -> dict[str, Any]:
    difference = improvement["difference"]
    reach = max(abs(difference["low"]), abs(difference["high"]), 0.005) * 1.15
    return {
        "name": improvement["name"],
        "difference": difference,
        "sentence": _SENTENCE[difference["verdict"]].format(improvement["recommended"]),
        "groups": improvement["groups"],
        "recommended": improvement["recommended"],
        "metric": improvement["metric"],
        "chosen_by": improvement["chosen_by"],
        "changes": improvement["changes"],
        "ensemble": improvement["ensemble"],
        "best_run": improvement["best_run"],
        "mcnemar": improvement["mcnemar"],
        "seconds": improvement["seconds"],
        "per_class": improvement["per_class"],
        "reach": max([reach, *(abs(row["difference"]) for row in improvement["per_class"])]),
        "scale": reach,
    }
