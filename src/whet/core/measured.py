"""What was measured of each method that whet comes with: the rows of its card, from methods/measured.json, which
benchmarks/methods.py writes."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = ("data", "learned from", "plain", "effect (95 % interval)", "seeds", "training time", "verdict")
_MOST_SEEDS = 100
_METRICS = {"accuracy": "", "macro_f1": "macro-F1 ", "log_loss": "log-loss "}


@dataclass(frozen=True)
class Measured:
    """One method in one setting, against the plain recipe there with the same seeds.

    conditions: how many samples were learned from, for how long, by which network. verdict: helps, hurts, no evidence,
    cannot act (then `reason` says why). plain, effect, low, high: of the
    metric, which is accuracy, macro_f1 or log_loss. time, answer_time: of training and of an answer, as multiples of the plain
    recipe's. certain: the effect stands though so many comparisons were made (Holm's correction over all of them, 5 %).
    """

    data: str
    verdict: str
    reason: str = ""
    how: str = ""
    conditions: str = ""
    metric: str = "accuracy"
    plain: float = 0.0
    effect: float = 0.0
    low: float = 0.0
    high: float = 0.0
    seeds: int = 0
    time: float = 1.0
    answer_time: float = 1.0
    certain: bool = False

    def cells(self) -> tuple[str, ...]:
        """As people read it, under HEADER."""
        data = f"{self.data}; {self.how}" if self.how else self.data
        if self.verdict == "cannot act":
            return data, self.conditions, "", "", "", "", f"cannot act here: {self.reason}"
        plain = _METRICS[self.metric] + (
            f"{self.plain:.3f}" if self.metric == "log_loss" else f"{100 * self.plain:.1f} %"
        )
        time = f"× {self.time:.2f}" + (f", an answer × {self.answer_time:.1f}" if self.answer_time >= 1.3 else "")
        verdict = f"**{self.verdict}**" if self.certain else self.verdict
        if self.verdict == "no evidence":
            verdict += self.still_to_tell()
        return data, self.conditions, plain, self.effect_text(), str(self.seeds), time, verdict

    def still_to_tell(self) -> str:
        """'; at least 9 seeds would tell': for how many an effect as large as this one is found in four cases of five at 5 %. At
        least, as the part of the interval that comes from the test samples does not shrink with seeds."""
        from scipy.special import stdtrit

        known = self.seeds - 1
        if known < 1 or self.effect == 0:
            return ""
        error = (self.high - self.low) / 2 / stdtrit(known, 0.975)
        for seeds in range(self.seeds + 1, _MOST_SEEDS + 1):
            bound = stdtrit(seeds - 1, 0.975) + stdtrit(seeds - 1, 0.8)
            if abs(self.effect) >= bound * error * (self.seeds / seeds) ** 0.5:
                return f"; at least {seeds} seeds would tell"
        return f"; not even {_MOST_SEEDS} seeds would tell"

    def effect_text(self) -> str:
        """'+1.4 (+0.3 … +2.5)', in points; log-loss in its own unit."""
        scale, digits = (1, 3) if self.metric == "log_loss" else (100, 1)
        mean, low, high = (f"{scale * value:+.{digits}f}" for value in (self.effect, self.low, self.high))
        return f"{mean} ({low} … {high})"


def support(rows: Sequence[Measured]) -> str:
    """What the rows come to, in a few words: 'helps on 1, no evidence on 1'."""
    if not rows:
        return "not measured"
    order = ("helps", "hurts", "no evidence", "cannot act")
    counts = [(verdict, sum(row.verdict == verdict for row in rows)) for verdict in order]
    return ", ".join(f"{verdict} on {count}" for verdict, count in counts if count)


def markdown(rows: Sequence[Measured]) -> str:
    """The section of the card."""
    lines = ["## Measured", ""]
    if rows:
        lines += [
            "Against a plain recipe on small data, with the same seeds; accuracy where nothing else is named. An effect in bold"
        ]
        lines[-1] += " stands though many methods were tried."
        lines += ["", table_row(HEADER), "|" + "---|" * len(HEADER)]
        lines += [table_row(row.cells()) for row in rows]
        lines.append("")
    if not any(row.verdict == "helps" for row in rows):
        lines += ["No measurement of ours supports this method yet.", ""]
    return "\n".join(lines)


def table_row(cells: Sequence[str]) -> str:
    """A row of a table in Markdown; a pipe within a cell would begin another cell."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def measured(name: str) -> tuple[Measured, ...]:
    """The rows of a method's card; none where it was not measured."""
    return _all().get(name, ())


@functools.cache
def _all() -> dict[str, tuple[Measured, ...]]:
    file = importlib.resources.files("whet") / "methods" / "measured.json"
    plain = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: tuple(Measured(**row) for row in rows) for name, rows in plain.items()}
