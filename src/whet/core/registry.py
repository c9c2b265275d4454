"""Which methods exist. Ours and third parties' come through one door: the entry point group `whet.methods`."""

from __future__ import annotations

import functools
import importlib.metadata
from types import ModuleType

from whet.core.errors import RecipeError, unknown
from whet.core.method import Method

GROUP = "whet.methods"


class Registry:
    """Methods by name. A second method of one name is refused, never put over the first."""

    def __init__(self) -> None:
        self._by_name: dict[str, type[Method]] = {}

    def add(self, cls: type[Method]) -> type[Method]:
        known = self._by_name.setdefault(cls.name, cls)
        if known is not cls:
            raise RecipeError(
                f"two methods are named '{cls.name}': {known.__module__}.{known.__name__} and {cls.__module__}.{cls.__name__}"
            )
        return cls

    def get(self, name: str) -> type[Method]:
        if name not in self._by_name:
            raise RecipeError(unknown("method", name, self._by_name))
        return self._by_name[name]

    def __iter__(self):
        return iter(self._by_name[name] for name in sorted(self._by_name))

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


@functools.cache
def registry() -> Registry:
    """The registry of this process, filled from the entry points on first use. An entry point names a method, or a module
    whose `__all__` lists methods."""
    found = Registry()
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        target = entry.load()
        members = [vars(target)[name] for name in target.__all__] if isinstance(target, ModuleType) else [target]
        for member in members:
            if not (isinstance(member, type) and issubclass(member, Method)):
                raise RecipeError(f"entry point {GROUP}: {entry.value} gives {member!r}, which is not a Method")
            found.add(member)
    if not len(found):
        raise RecipeError("no methods found: whet is not installed as a package here; install it (pip install -e .)")
    return found


def register(cls: type[Method]) -> type[Method]:
    """Make a method of your own script known by name, so that recipes and run folders can name it. Usable as a decorator."""
    return registry().add(cls)
