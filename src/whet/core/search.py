"""What is worth searching of a hyper-parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """The range a hyper-parameter is worth searching, or the choices: `Annotated[float, Search(0.05, 1.0, log=True)]`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
