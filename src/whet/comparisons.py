"""What `whet.compare` returns."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.figure import Figure

from whet.evaluate.compare import Comparison, Group
from whet.report.cards import of_comparison
from whet.report.sections.effects import forest


class Comparisons(NamedTuple):
    """The recipe of the first run, and each other recipe compared with it."""

    reference: Group
    others: list[Comparison]

    def __repr__(self) -> str:
        found = ", ".join(f"{one.group.name}: {one.difference.mean:+.4g} ({one.verdict})" for one in self.others)
        return f"Comparisons({self.reference.metric} against {self.reference.name}; {found})"

    def _repr_html_(self) -> str:
        return of_comparison(self.reference, self.others)

    def plot_differences(self) -> Figure:
        """The difference of each recipe from the reference with its 95 % interval, as a figure."""
        rows = [
            {
                "factor": one.group.name, "effect": one.difference.mean, "low": one.difference.low, "high": one.difference.high,
                "verdict": one.verdict,
            }
            for one in self.others
        ]  # fmt: skip
        return forest(rows, self.reference.metric).figure()
