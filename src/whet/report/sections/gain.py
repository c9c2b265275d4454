"""The gain of `whet improve` over the plain recipe, with its interval."""

from __future__ import annotations

from typing import Any

from whet.core.language import tr
from whet.core.run_folder import RunFolder


def context(folder: RunFolder, improvement: dict[str, Any]) -> dict[str, Any]:
    difference = improvement["difference"]
    reach = max(abs(difference["low"]), abs(difference["high"]), 0.005) * 1.15
    return {
        "name": improvement["name"],
        "difference": difference,
        "sentence": sentence(difference["verdict"], improvement["recommended"]),
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


def sentence(verdict: str, name: str) -> str:
    """What the verdict says about the recipe of this name."""
    return {
        "helps": tr("The {name!t} recipe is better than the plain recipe.", name=name),
        "hurts": tr("The {name!t} recipe is worse than the plain recipe on these data.", name=name),
        "no difference worth having": tr(
            "The {name!t} recipe and the plain recipe differ by less than one percentage point.", name=name
        ),
        "undecided": tr(
            "The difference between the {name!t} recipe and the plain recipe is not distinguishable from zero. "
            "More seeds or test samples would narrow the interval.",
            name=name,
        ),
        "not assessed": tr(
            "With fewer than three seeds, the {name!t} recipe gets no verdict: another seed may reverse the difference.",
            name=name,
        ),
    }[verdict]
