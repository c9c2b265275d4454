"""Put the sections of a report together and write the file."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from whet.core.run_folder import RunFolder, write_whole
from whet.report import text
from whet.report.sections import (
    answering,
    calibration,
    classes,
    confusion,
    curves,
    data,
    environment,
    gain,
    headline,
    mistakes,
    recipe,
    runs,
    samples,
)

_RUN = (headline, answering, curves, classes, confusion, calibration, mistakes, samples, data, recipe, environment)
_IMPROVEMENT = (gain, runs, classes, confusion, mistakes, samples, data, recipe, environment)


def build_report(folder: RunFolder) -> Path:
    """Write report.html of a finished run; its path."""
    page = _page(f"{folder.name} · whet report", _sections(_RUN, folder))
    write_whole(folder.report, page)
    return folder.report


def build_improvement(path: Path) -> Path:
    """Write report.html of a `whet improve` folder: what was gained, then the report of its best run; its path."""
    story = RunFolder(path)
    improvement = story.read_json(path / "improvement.json")
    best = RunFolder.open(path / improvement["best_run"])
    page = _page(f"{story.name} · whet improve", _sections(_IMPROVEMENT, best, improvement))
    write_whole(path / "report.html", page)
    return path / "report.html"


def _sections(modules: tuple[Any, ...], folder: RunFolder, improvement: dict[str, Any] | None = None) -> list[str]:
    rendered = []
    for module in modules:
        context = (
            module.context(folder)
            if improvement is None or module not in (gain, runs, data)
            else module.context(folder, improvement)
        )
        if context is not None:
            name = module.__name__.rpartition(".")[2]
            rendered.append(_environment().get_template(f"{name}.html").render(**context))
    return rendered


def _page(title: str, sections: list[str]) -> str:
    return (
        _environment()
        .get_template("page.html")
        .render(title=title, sections=sections, version=importlib.metadata.version("whet"))
    )


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("whet.report"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters.update(percent=text.percent, seconds=text.seconds, count=text.count, points=text.points)
    return found
