"""Checks of class names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from whet.core.language import Sentence, english, named

_WHOLE = re.compile(r"([+-]?\d+)(\.0+)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MANY_NUMBERS = 20  # distinct values; fewer are usually class numbers, or ratings and grades
_SHOWN = 5


def whole_numbers(labels: list[Any]) -> tuple[list[Any], Sentence | None]:
    """(the labels, a note or None): where all labels are integers and some are written as decimals, as in a pandas integer column
    with missing values, 1.0 becomes 1. Label sets are unchanged."""
    given = set(labels)
    matches = {label: match for label in given if isinstance(label, str) and (match := _WHOLE.fullmatch(label))}
    decimal = [label for label, match in matches.items() if match[2]]
    if len(matches) < len(given) or not decimal:
        return labels, None
    plain = {label: match[1] for label, match in matches.items()}
    first = min(decimal)
    return [plain[label] for label in labels], (
        english(
            "the labels are integers, some written as decimals: {first} is the class {whole}",
            first=first,
            whole=plain[first],
        )
    )


def class_warnings(classes: Sequence[str], counts: Sequence[int]) -> tuple[Sentence, ...]:
    """Names that may refer to the same class, and names that are numbers for a regression rather than classes."""
    alike: dict[str, list[str]] = {}
    for name, count in zip(classes, counts):
        alike.setdefault(_key(name), []).append(f"'{name}' ({count})")
    same = [names for names in alike.values() if len(names) > 1]
    found = []
    if same:
        listed = named([" / ".join(names) for names in same], _SHOWN)
        found.append(
            english(
                "classes whose names differ only in case, spaces or number format: {names!n}: one class?", names=listed
            )
        )
    if _are_numbers_to_predict(classes):
        values = sorted(float(name) for name in classes)
        found.append(
            english(
                "all {n} labels are numbers, from {least:g} to {most:g}: a regression target? "
                "whet classifies, and treats each number as a class without an order",
                n=len(classes),
                least=values[0],
                most=values[-1],
            )
        )
    return tuple(found)


def _are_numbers_to_predict(classes: Sequence[str]) -> bool:
    """Whether the names are many numbers that are not consecutive integers from 0 or 1, as class numbers are."""
    if len(classes) < _MANY_NUMBERS or not all(_NUMBER.fullmatch(name) for name in classes):
        return False
    values = sorted(float(name) for name in classes)
    return values[0] not in (0, 1) or values != [values[0] + k for k in range(len(values))]


def _key(name: str) -> str:
    if _NUMBER.fullmatch(name):
        return str(float(name))
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
