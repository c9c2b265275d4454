"""Registries of plugins added by entry points: methods and tasks."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Generic, TypeVar

from whet.core.errors import RecipeError, unknown

T = TypeVar("T", bound=type)


class Registry(Generic[T]):
    """Classes by `name`. A second class with the same name is an error. word: "method" or "task"."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._by_name: dict[str, T] = {}

    def add(self, cls: T) -> T:
        known = self._by_name.setdefault(_name(cls), cls)
        if known is not cls:
            raise RecipeError(
                f"two {self._word}s are named '{_name(cls)}': {known.__module__}.{known.__name__} and "
                f"{cls.__module__}.{cls.__name__}"
            )
        return cls

    def get(self, name: str) -> T:
        if name not in self._by_name:
            raise RecipeError(unknown(self._word, name, self._by_name))
        return self._by_name[name]

    def __iter__(self) -> Iterator[T]:
        return iter(self._by_name[name] for name in sorted(self._by_name))

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


def _name(cls: Any) -> str:
    return cls.name


def filled(group: str, base: type) -> Registry[Any]:
    """A registry of the entry points of this group: subclasses of `base`, or modules whose `__all__` lists them."""
    word = base.__name__.lower()
    found: Registry[Any] = Registry(word)
    for entry in sorted(importlib.metadata.entry_points(group=group), key=lambda entry: entry.name):
        target = entry.load()
        members = [vars(target)[name] for name in target.__all__] if isinstance(target, ModuleType) else [target]
        for member in members:
            if not (isinstance(member, type) and issubclass(member, base)):
                raise RecipeError(
                    f"entry point {group}: {entry.value} gives {member!r}, which is not a {base.__name__}"
                )
            found.add(member)
    if not len(found):
        raise RecipeError(f"no {word}s found: whet is not installed as a package here; install it (pip install -e .)")
    return found
