"""Classes of annotations that name the class of each object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

BACKGROUND = "background"
_BACKGROUNDS = frozenset({"background", "_background_", "__background__", "bg"})
_IGNORED = frozenset({"ignore", "ignored", "void", "_ignore_", "__ignore__"})


def is_background(name: str) -> bool:
    """Whether a class of this name is the background."""
    return name.strip().lower() in _BACKGROUNDS


def is_ignored(name: str) -> bool:
    """Whether pixels with this label do not count."""
    return name.strip().lower() in _IGNORED


def numbered(names: Sequence[str], used: Iterable[str], what: str = "classes") -> tuple[dict[str, int], list[str]]:
    """(class numbers of the names that objects have, in order, from 1, the background 0; a note about the others)."""
    counts = Counter(used)
    kept = [name for name in names if counts[name] and not is_background(name) and not is_ignored(name)]
    empty = [name for name in names if not counts[name] and not is_background(name)]
    numbers = {name: number for number, name in enumerate(kept, start=1)}
    numbers |= {name: 0 for name in names if is_background(name)}
    return numbers, [f"{what} without objects, left out: {', '.join(empty)}"] if empty else []
