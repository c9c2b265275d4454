"""whet sharpens a model on your own data, and measures which technique helped.

import whet
from whet.methods import MixUp, AdamW
run = whet.train("photos/", methods=[MixUp(alpha=0.2), AdamW(lr=3e-4)], budget="20ep")
run.predict("bottle.jpg")
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name -> module. Nothing heavy is imported until one of these is used: `import whet` stays light.
_HOME = {
    "DataSpec": "whet.core.spec",
    "Method": "whet.core.method",
    "Recipe": "whet.core.recipe",
    "Run": "whet.run",
    "WhetError": "whet.core.errors",
    "augment": "whet.api",
    "check": "whet.check",
    "compare": "whet.api",
    "compare_architectures": "whet.architectures",
    "ensemble": "whet.api",
    "improve": "whet.improve",
    "load": "whet.api",
    "register": "whet.core.registry",
    "resume": "whet.api",
    "study": "whet.study.study",
    "train": "whet.api",
    "tune": "whet.tune.tune",
}
__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:
    from whet.api import augment as augment
    from whet.api import compare as compare
    from whet.api import ensemble as ensemble
    from whet.api import load as load
    from whet.api import resume as resume
    from whet.api import train as train
    from whet.architectures import compare_architectures as compare_architectures
    from whet.check import check as check
    from whet.core.errors import WhetError as WhetError
    from whet.core.method import Method as Method
    from whet.core.recipe import Recipe as Recipe
    from whet.core.registry import register as register
    from whet.core.spec import DataSpec as DataSpec
    from whet.improve import improve as improve
    from whet.run import Run as Run
    from whet.study.study import study as study
    from whet.tune.tune import tune as tune


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'whet' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _CallableModule(types.ModuleType):
    """whet.train, whet.improve and whet.check are functions, and modules too: once such a module is imported it stands in the
    function's place, and does its work when called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return __getattr__(self.__name__.removeprefix("whet."))(*args, **options)


class _Package(types.ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOME and isinstance(value, types.ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
