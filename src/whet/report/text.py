"""Format numbers for reports."""

from __future__ import annotations

from whet.core.duration import Duration

_UNITS = {"ep": "epoch", "st": "step", "s": "second", "m": "minute", "h": "hour"}


def percent(share: float | None, digits: int = 1) -> str:
    """0.9234 -> '92.3 %'."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """A difference of two shares in percentage points, with its sign: 0.053 -> '+5.3'."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def seconds(value: float) -> str:
    """'0.4 ms', '38 s', '4 min 12 s', '2 h 5 min'."""
    if value < 0.00995:
        return f"{1000 * value:.1f} ms"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 60:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def count(value: float) -> str:
    """12345 -> '12,345'."""
    return f"{value:,.0f}"


def amount(value: float) -> str:
    """A large count in short form: 61326 -> '61 thousand', 6573120 -> '6.6 million'."""
    if value < 1e5:
        return f"{value / 1e3:.0f} thousand" if value >= 1e3 else f"{value:.0f}"
    millions = value / 1e6
    return f"{millions:.2g} million" if millions < 10 else f"{millions:,.0f} million"


def memory(mib: float) -> str:
    """'640 MiB', '1.5 GiB'."""
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.1f} GiB"


def duration(budget: str) -> str:
    """'10ep' -> '10 epochs'."""
    parsed = Duration.parse(budget)
    return f"{parsed.value:g} {_UNITS[parsed.unit]}" + ("" if parsed.value == 1 else "s")


def short_name(architecture: str) -> str:
    """The last part of a path or hub name, so that a report contains no path of a machine."""
    return architecture.rstrip("/").rsplit("/", 1)[-1]
