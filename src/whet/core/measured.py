"""The measured effects of the built-in methods: the rows of their cards, from methods/measured.json, which benchmarks/methods.py
writes."""

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
    """One method in one setting, compared with the plain recipe with the same seeds.

    conditions: number of training samples, training length and network. verdict: helps, hurts, no evidence, cannot act (`reason`
    then gives the reason). plain, effect, low, high: values of the metric, which is accuracy, macro_f1 or log_loss. time,
    inference_time: training time and inference time, relative to the plain recipe. certain: the effect is significant after Holm's
    correction over all comparisons (5 %).
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
    inference_time: float = 1.0
    certain: bool = False

    def cells(self) -> tuple[str, ...]:
        """The cells for display, under HEADER."""
        data = f"{self.data}; {self.how}" if self.how else self.data
        if self.verdict == "cannot act":
            return data, self.conditions, "", "", "", "", f"cannot act here: {self.reason}"
        plain = _METRICS[self.metric] + (
            f"{self.plain:.3f}" if self.metric == "log_loss" else f"{100 * self.plain:.1f} %"
        )
        time = f"× {self.time:.2f}" + (f", inference × {self.inference_time:.1f}" if self.inference_time >= 1.3 else "")
        verdict = f"**{self.verdict}**" if self.certain else self.verdict
        if self.verdict == "no evidence":
            verdict += self.seeds_needed()
        return data, self.conditions, plain, self.effect_text(), str(self.seeds), time, verdict

    def seeds_needed(self) -> str:
        """'; at least 9 seeds needed': the number of seeds that detects an effect of this size with 80 % power at the 5 % level.
        It is a lower bound, because the part of the interval due to the test samples does not shrink with more seeds."""
        from scipy.special import stdtrit

        known = self.seeds - 1
        if known < 1 or self.effect == 0:
            return ""
        error = (self.high - self.low) / 2 / stdtrit(known, 0.975)
        for seeds in range(self.seeds + 1, _MOST_SEEDS + 1):
            bound = stdtrit(seeds - 1, 0.975) + stdtrit(seeds - 1, 0.8)
            if abs(self.effect) >= bound * error * (self.seeds / seeds) ** 0.5:
                return f"; at least {seeds} seeds needed"
        return f"; more than {_MOST_SEEDS} seeds needed"

    def effect_text(self) -> str:
        """'+1.4 (+0.3 … +2.5)', in percentage points; log-loss in its own unit."""
        scale, digits = (1, 3) if self.metric == "log_loss" else (100, 1)
        mean, low, high = (f"{scale * value:+.{digits}f}" for value in (self.effect, self.low, self.high))
        return f"{mean} ({low} … {high})"


def support(rows: Sequence[Measured]) -> str:
    """A short summary of the rows: 'helps on 1, no evidence on 1'."""
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
            "Compared with a plain recipe on small data, with the same seeds. The metric is accuracy unless another is named."
        ]
        lines[-1] += " Effects are in percentage points. An effect in bold is significant after Holm's correction."
        lines += ["", table_row(HEADER), "|" + "---|" * len(HEADER)]
        lines += [table_row(row.cells()) for row in rows]
        lines.append("")
    if not any(row.verdict == "helps" for row in rows):
        lines += ["No measurement supports this method yet.", ""]
    return "\n".join(lines)


def table_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table, with pipes escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def measured(name: str) -> tuple[Measured, ...]:
    """The rows of a method's card; empty where it was not measured."""

    return _all().get(name, ())


@functools.cache
def _all() -> dict[str, tuple[Measured, ...]]:
    file = importlib.resources.files("whet") / "methods" / "measured.json"
    plain = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {name: tuple(Measured(**row) for row in rows) for name, rows in plain.items()}
