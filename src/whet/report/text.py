"""Format numbers for reports."""

from __future__ import annotations

from whet.core.duration import Duration
from whet.core.evidence import Metric
from whet.core.language import english, tr, tr_n, translated


def percent(share: float | None, digits: int = 1) -> str:
    """0.9234 -> '92.3 %'."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """A difference of two shares in percentage points, with its sign: 0.053 -> '+5.3'."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def between(low: str, high: str) -> str:
    """The ends of an interval."""
    return tr("{low} to {high}", low=low, high=high)


def seconds(value: float) -> str:
    """'0.4 ms', '38 s', '4 min 12 s', '2 h 5 min'."""
    if value < 0.00995:
        return tr("{ms} ms", ms=f"{1000 * value:.1f}")
    if value < 1:
        return tr("{ms} ms", ms=f"{1000 * value:.0f}")
    if value < 60:
        return tr("{s} s", s=f"{value:.0f}" if value >= 10 else f"{value:.1f}")
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return tr("{min} min {s} s", min=minutes, s=rest) if rest else tr("{min} min", min=minutes)
    return tr("{h} h {min} min", h=minutes // 60, min=minutes % 60)


def size(shown: str) -> str:
    """The size of samples (`Recipe.shown`) in the current language: '224 px', '64 tokens'."""
    number, unit = shown.split(maxsplit=1)
    return f"{number} {translated(unit)}"


def count(value: float) -> str:
    """12345 -> '12,345'."""
    return f"{value:,.0f}"


def amount(value: float) -> str:
    """A large count in short form: 61326 -> '61 thousand', 6573120 -> '6.6 million'."""
    if value < 1e5:
        return tr("{n:.0f} thousand", n=value / 1e3) if value >= 1e3 else f"{value:.0f}"
    millions = value / 1e6
    return tr("{n} million", n=f"{millions:.2g}" if millions < 10 else f"{millions:,.0f}")


def memory(mib: float) -> str:
    """'640 MiB', '1.5 GiB'."""
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.1f} GiB"


def duration(budget: str) -> str:
    """'10ep' -> '10 epochs'."""
    parsed = Duration.parse(budget)
    n = parsed.value
    return {
        "ep": tr_n("{n:g} epoch", "{n:g} epochs", n),
        "st": tr_n("{n:g} step", "{n:g} steps", n),
        "s": tr_n("{n:g} second", "{n:g} seconds", n),
        "m": tr_n("{n:g} minute", "{n:g} minutes", n),
        "h": tr_n("{n:g} hour", "{n:g} hours", n),
    }[parsed.unit]


def part_name(part: str) -> str:
    """The name of a split in an English sentence: 'val' -> 'validation'."""
    return {"train": english("training"), "val": english("validation"), "test": english("test")}[part]


def short_name(architecture: str) -> str:
    """The last part of a path or hub name, so that a report contains no path of a machine."""
    return architecture.rstrip("/").rsplit("/", 1)[-1]


def unit_of(chosen: Metric) -> str:
    """What a difference of this metric is measured in, for an axis."""
    title = translated(chosen.title)
    return tr("percentage points of {metric}", metric=title) if chosen.is_share else title


def axis_of(chosen: Metric) -> str:
    """The metric with its unit, for an axis."""
    return translated(chosen.title) + (", %" if chosen.is_share else "")
