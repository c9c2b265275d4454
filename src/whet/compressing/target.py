"""What a smaller model must reach."""

from __future__ import annotations

import re
from dataclasses import dataclass

from whet.core.errors import RecipeError

_FORM = re.compile(r"(latency|size)=(\d+(?:\.\d+)?)\s*(us|ms|s|kB|KB|MB|GB)")
_UNITS = {"latency": {"us": 1e-3, "ms": 1.0, "s": 1e3}, "size": {"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}}


@dataclass(frozen=True)
class Target:
    """what: latency or size. limit: milliseconds of processor time for one sample on one thread, or bytes of the graph."""

    what: str
    limit: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `latency=3ms` or `size=2MB`. RecipeError for another form."""
        match = _FORM.fullmatch(text.strip())
        if match is None or match[3] not in _UNITS[match[1]] or not float(match[2]):
            raise RecipeError(f"target '{text}'; accepted: latency=3ms, latency=500us, size=2MB, size=800kB")
        return cls(match[1], float(match[2]) * _UNITS[match[1]][match[3]], text.strip())

    def reached(self, milliseconds: float, size: float) -> bool:
        return (milliseconds if self.what == "latency" else size) <= self.limit
