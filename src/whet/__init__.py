"""whet trains image, text and audio classifiers on your own data and measures which techniques help.

import whet
from whet.methods import MixUp, AdamW
run = whet.train("photos/", methods=[MixUp(alpha=0.2), AdamW(lr=3e-4)], budget="20ep")
run.predict("bottle.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name -> module. These are imported on first use, so that `import whet` is fast.
_HOME = {
    "DataSpec": "whet.core.spec",
    "Method": "whet.core.method",
    "Recipe": "whet.core.recipe",
    "Run": "whet.run",
    "WhetError": "whet.core.errors",
    "augment": "whet.api",
    "check": "whet.checking",
    "compare": "whet.api",
    "compare_architectures": "whet.architectures",
    "compress": "whet.compressing.compress",
    "ensemble": "whet.api",
    "export": "whet.exporting.export",
    "group": "whet.grouping.grouping",
    "improve": "whet.improvement",
    "label": "whet.labelling.labelling",
    "label_by_names": "whet.grouping.names",
    "list_runs": "whet.run_index",
    "load": "whet.api",
    "merge_labels": "whet.labelling.merged",
    "pretrain": "whet.api",
    "register": "whet.core.registry",
    "resume": "whet.api",
    "study": "whet.studies.study",
    "train": "whet.api",
    "tune": "whet.tuning.tune",
}
__all__ = [*_HOME, "__version__"]

if TYPE_CHECKING:
    from whet.api import augment as augment
    from whet.api import compare as compare
    from whet.api import ensemble as ensemble
    from whet.api import load as load
    from whet.api import pretrain as pretrain
    from whet.api import resume as resume
    from whet.api import train as train
    from whet.architectures import compare_architectures as compare_architectures
    from whet.checking import check as check
    from whet.compressing.compress import compress as compress
    from whet.core.errors import WhetError as WhetError
    from whet.core.method import Method as Method
    from whet.core.recipe import Recipe as Recipe
    from whet.core.registry import register as register
    from whet.core.spec import DataSpec as DataSpec
    from whet.exporting.export import export as export
    from whet.grouping.grouping import group as group
    from whet.grouping.names import label_by_names as label_by_names
    from whet.improvement import improve as improve
    from whet.labelling.labelling import label as label
    from whet.labelling.merged import merge_labels as merge_labels
    from whet.run import Run as Run
    from whet.run_index import list_runs as list_runs
    from whet.studies.study import study as study
    from whet.tuning.tune import tune as tune


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'whet' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
