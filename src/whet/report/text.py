"""Numbers as people read them."""

from __future__ import annotations


def percent(share: float | None, digits: int = 1) -> str:
    """0.9234 -> '92.3 %'."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 1) -> str:
    """A difference of shares in percentage points, always with its sign: 0.053 -> '+5.3'."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def seconds(value: float) -> str:
    """'38 s', '4 min 12 s', '2 h 5 min'."""
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
