"""What the shell completes after an option. It answers in a fraction of a second, so it reads the names of files only: neither the
registry of methods nor a network is loaded, and methods of other packages are not completed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_METRICS = (
    "accuracy", "macro_f1", "worst_class", "log_loss", "calibration_error", "hamming_accuracy", "micro_f1",
    "mean_average_precision", "mean_iou", "dice", "pixel_accuracy", "boundary_f",
)  # fmt: skip
_SECTIONS = ("data.", "model.", "train.")


def methods(incomplete: str) -> list[str]:
    """The names of the methods."""
    return _starting(sorted(method_names()), incomplete)


def settings(incomplete: str) -> list[str]:
    """The sections of a recipe and the methods, each with its dot."""
    return _starting([*_SECTIONS, *(f"{name}." for name in sorted(method_names()))], incomplete)


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes, and recipe files of the working directory."""
    from whet import recipes as shipped

    return _starting([*shipped.names(), *(path.as_posix() for path in sorted(Path().glob("*.yaml")))], incomplete)


def networks(incomplete: str) -> list[str]:
    """Built-in networks, and folders."""
    from whet.cli.options import TEXT_ZOO, ZOO

    return [*_starting((*ZOO, *TEXT_ZOO), incomplete), *_folders(incomplete)]


def weights(incomplete: str) -> list[str]:
    """none, finished runs, and folders."""
    return [*_starting(("none",), incomplete), *runs(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Folders; those in runs/ first."""
    return list(dict.fromkeys([*_starting(_folders("runs/"), incomplete), *_folders(incomplete)]))


def metrics(incomplete: str) -> list[str]:
    return _starting(_METRICS, incomplete)


def devices(incomplete: str) -> list[str]:
    return _starting(("auto", "cpu", "cuda"), incomplete)


def orders(incomplete: str) -> list[str]:
    return _starting(("newest", "score"), incomplete)


def languages(incomplete: str) -> list[str]:
    return _starting(("en", "zh"), incomplete)


def method_names() -> set[str]:
    """The names of whet's own methods, from the import list of the package, which is not imported."""
    text = (Path(__file__).parents[1] / "methods" / "__init__.py").read_text(encoding="utf-8")
    return set(re.findall(r"^from whet\.methods\.\w+\.(\w+) import", text, re.MULTILINE))


def _folders(beginning: str) -> list[str]:
    """The folders whose path begins like this, with a slash at the end."""
    parent, name = os.path.split(beginning)
    try:
        entries = sorted(os.scandir(os.path.expanduser(parent) or "."), key=lambda one: one.name)
    except OSError:
        return []
    hidden = name.startswith(".")
    found = [
        one.name for one in entries if one.name.startswith(name) and (hidden or one.name[0] != ".") and one.is_dir()
    ]
    return [os.path.join(parent, one) + "/" for one in found]


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
