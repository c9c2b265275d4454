"""The search range of a hyper-parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """The range or the choices for a hyper-parameter search: `Annotated[float, Search(0.05, 1.0, log=True)]`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
