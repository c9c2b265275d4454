"""Which methods exist, and the one door for what a person's own script adds: methods and tasks."""

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
    """The methods of this process, filled from the entry point group `whet.methods` on first use."""
    return filled(GROUP, Method)


def register(cls: Plugin) -> Plugin:
    """Make a method or task of your own script known by name, so that recipes and run folders can name it. Usable as a
    decorator."""
    (tasks() if issubclass(cls, Task) else registry()).add(cls)  # type: ignore[arg-type]
    return cls
