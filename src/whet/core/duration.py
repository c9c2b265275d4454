"""Typed durations: '20ep', '500st', '0.1dur', '90s', '10m', '2h'."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from whet.core.errors import RecipeError

_UNITS = {
    "ep": "epochs",
    "st": "steps",
    "dur": "fraction of the training",
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(ep|st|dur|s|m|h)")


@dataclass(frozen=True)
class Duration:
    """A length of training with its unit, so that 10 epochs cannot be confused with 10 steps.

    Units: ep (epochs), st (optimizer steps), dur (fraction 0…1 of the whole training), s, m, h (wall time).
    """

    value: float
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if self.unit not in _UNITS:
            raise RecipeError(f"duration unit '{self.unit}' is unknown; accepted: {', '.join(_UNITS)}")
        if not math.isfinite(self.value) or self.value < 0:
            raise RecipeError(f"duration '{self.value:g}{self.unit}' must be finite and not negative")
        if self.unit == "dur" and self.value > 1:
            raise RecipeError(f"duration '{self}' is a fraction of the training: 0dur to 1dur")

    @classmethod
    def parse(cls, text: str | Duration) -> Duration:
        if isinstance(text, Duration):
            return text
        match = _PATTERN.fullmatch(str(text).strip())
        if match is None:
            raise RecipeError(
                f"'{text}' is not a duration; write a number and a unit: "
                "20ep (epochs), 500st (steps), 0.1dur (fraction), 90s, 10m, 2h"
            )
        return cls(float(match[1]), match[2])

    @classmethod
    def parse_budget(cls, text: str | Duration) -> Duration:
        """Like `parse`, but the duration must be positive."""
        found = cls.parse(text)
        if not found.value:
            raise RecipeError(f"duration '{found}' is too short; accepted: more than 0, for example 20ep, 500st or 10m")
        return found

    @property
    def is_time(self) -> bool:
        """Whether this is wall time. Only a throughput measurement can convert it to steps."""
        return self.unit in _SECONDS

    @property
    def seconds(self) -> float:
        if not self.is_time:
            raise RecipeError(f"'{self}' is not a wall time; accepted here: 90s, 10m, 2h")
        return self.value * _SECONDS[self.unit]

    def steps(self, steps_per_epoch: int, total_steps: int) -> int:
        """This duration in whole optimizer steps. RecipeError for a wall time."""
        if self.unit == "ep":
            return round(self.value * steps_per_epoch)
        if self.unit == "st":
            return round(self.value)
        if self.unit == "dur":
            return round(self.value * total_steps)
        raise RecipeError(f"'{self}' is a wall time; accepted here: epochs (2ep), steps (500st) or a fraction (0.1dur)")

    def __str__(self) -> str:
        whole = self.value.is_integer() and self.value < 1e15
        return f"{int(self.value) if whole else repr(self.value)}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(str),
            json_schema_input_schema=core_schema.str_schema(),
        )
