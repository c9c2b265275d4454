"""The registry of methods, and `register` for methods and tasks of the user's own script."""

from __future__ import annotations

import functools
from typing import TypeVar

from whet.core.method import Method
from whet.core.plugins import Registry, filled
from whet.core.task import Task, tasks

GROUP = "whet.methods"
Plugin = TypeVar("Plugin", bound=type[Method] | type[Task])


@functools.cache
def registry() -> Registry[type[Method]]:
    """The registered methods, loaded from the entry point group `whet.methods` on first use."""
    return filled(GROUP, Method)


def register(cls: Plugin) -> Plugin:
    """Register a method or task of your own script by name, so that recipes and run folders can refer to it. Usable as a
    decorator."""
    (tasks() if issubclass(cls, Task) else registry()).add(cls)  # type: ignore[arg-type]
    return cls
