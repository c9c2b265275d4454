"""Assemble the sections of a report and write the HTML file."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
import importlib.resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from whet.core.language import language, markup, translated
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_whole
from whet.report import text
from whet.report.sections import (
    architectures,
    audit,
    calibration,
    classes,
    compression,
    confusion,
    curves,
    data,
    effects,
    environment,
    examples,
    explanations,
    feature_map,
    gain,
    groups,
    headline,
    inference_gain,
    instances,
    mistakes,
    ranking,
    recipe,
    runs,
    samples,
    segments,
    study_effects,
    thresholds,
    to_label,
    tuning,
    unlabelled,
    worst_images,
)

_OF_TASKS = {
    "classes": classes, "confusion": confusion, "calibration": calibration, "segments": segments,
    "instances": instances, "worst_images": worst_images, "ranking": ranking, "thresholds": thresholds,
    "examples": examples, "feature_map": feature_map,
}  # fmt: skip
_END = (mistakes, samples, data, recipe, environment)

LIMIT = 5_000_000  # bytes of the page of a run: the examples of classes get what the other sections leave


def build_report(folder: RunFolder) -> Path:
    """Write report.html of a finished run and return its path."""
    page = _page(
        f"{folder.name} · whet report",
        _sections((headline, inference_gain, unlabelled, curves, *_of_task(folder), *_END), folder),
    )
    write_whole(folder.report, page)
    return folder.report


def build_improvement(path: Path) -> Path:
    """Write report.html of a `whet improve` folder (the gain, then the report of the best run) and return its path."""
    story = RunFolder(path)
    improvement = story.read_json(path / "improvement.json")
    best = RunFolder.open(path / improvement["best_run"])
    page = _page(
        f"{story.name} · whet improve",
        _sections((gain, study_effects, runs, *_of_task(best), *_END), best, improvement),
    )
    write_whole(path / "report.html", page)
    return path / "report.html"


def build_architectures(path: Path) -> Path:
    """Write report.html of a comparison of architectures and return its path."""
    folder = RunFolder(path)
    story = folder.read_json(path / "architectures.json")
    sections = [_rendered(architectures, architectures.context(folder, story))]
    if story["best_run"] is not None:
        sections += _sections((data, recipe), RunFolder.open(path / story["best_run"]))
    write_whole(path / "report.html", _page(f"{folder.name} · whet compare", sections))
    return path / "report.html"


def build_study(path: Path) -> Path:
    """Write report.html of a study folder and return its path."""
    story = RunFolder(path)
    study = story.read_json(path / "study.json")
    context = effects.context({**study, "recommended": (path / "recommended.yaml").read_text(encoding="utf-8")})
    section = _environment().get_template("effects.html").render(**context)
    write_whole(path / "report.html", _page(f"{study['name']} · whet study", [section]))
    return path / "report.html"


def build_check(path: Path) -> Path:
    """Write report.html of a `whet check` folder and return its path."""
    folder = RunFolder(path)
    context = audit.context(folder)
    write_whole(folder.report, _page(f"{context['name']} · whet check", [_rendered(audit, context)]))
    return folder.report


def build_groups(path: Path) -> Path:
    """Write report.html of a `whet group` folder and return its path."""
    folder = RunFolder(path)
    context = groups.context(folder)
    write_whole(folder.report, _page(f"{context['name']} · whet group", [_rendered(groups, context)]))
    return folder.report


def build_to_label(path: Path) -> Path:
    """Write report.html of a `whet label` folder and return its path."""
    folder = RunFolder(path)
    context = to_label.context(folder)
    write_whole(folder.report, _page(f"{context['name']} · whet label", [_rendered(to_label, context)]))
    return folder.report


def build_compression(path: Path) -> Path:
    """Write report.html of a `whet compress` folder and return its path."""
    folder = RunFolder(path)
    context = compression.context(folder)
    write_whole(folder.report, _page(f"{context['name']} · whet compress", [_rendered(compression, context)]))
    return folder.report


def build_preview_page(path: Path, rows: list[dict[str, Any]], folder: Path, recipe: Recipe) -> None:
    """Write the page that shows the effect of a recipe on some samples, which are saved in `folder`."""
    section = _rendered(samples, samples.of_rows(rows, folder, recipe))
    write_whole(path, _page(f"{Path(str(recipe.data.path)).resolve().stem} · whet augment", [section]))


def build_explanations(
    path: Path, run: RunFolder, records: list[dict[str, Any]], folder: Path, *, mistakes: bool
) -> None:
    """Write the page that explains the predictions of a run for some samples, which are saved in `folder`. mistakes: whether the
    samples are mistakes of the run."""
    section = _rendered(explanations, explanations.context(run, records, folder, mistakes=mistakes))
    write_whole(path, _page(f"{run.name} · whet explain", [section]))


def build_tuning(path: Path) -> Path:
    """Write report.html of a tuning folder and return its path."""
    story = RunFolder(path).read_json(path / "tuning.json")
    story = {**story, "recommended": (path / "recommended.yaml").read_text(encoding="utf-8")}
    page = _page(f"{story['name']} · whet tune", [_rendered(tuning, tuning.context(story))])
    write_whole(path / "report.html", page)
    return path / "report.html"


def _sections(modules: tuple[Any, ...], folder: RunFolder, improvement: dict[str, Any] | None = None) -> list[str]:
    sections: dict[Any, str] = {}
    for module in sorted(modules, key=lambda one: one is examples):  # the examples last
        further: tuple[Any, ...] = ()
        if improvement is not None and module in (gain, study_effects, runs, data):
            further = (improvement,)
        if module is examples:
            further = (LIMIT - len(_page(folder.name, list(sections.values())).encode()),)
        context = module.context(folder, *further)
        if context is not None:
            sections[module] = _rendered(module, context)
    return [sections[module] for module in modules if module in sections]


def _of_task(folder: RunFolder) -> list[Any]:
    """The sections specific to the run's task."""
    return [_OF_TASKS[name] for name in folder.task.sections]


def _rendered(module: Any, context: dict[str, Any]) -> str:
    return rendered(f"{module.__name__.rpartition('.')[2]}.html", **context)


def rendered(template: str, **context: Any) -> str:
    """A piece of HTML from a template of the report."""
    return _environment().get_template(template).render(**context)


def _page(title: str, sections: list[str]) -> str:
    script, digest = script_of("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title, sections=sections, version=importlib.metadata.version("whet"), language=language(), script=script,
            script_hash=digest,
        )
    )  # fmt: skip


@functools.cache
def script_of(template: str) -> tuple[str, str]:
    """A script of a page, and its hash: browsers run no other, whatever a class or a file is called."""
    script = importlib.resources.files("whet.report").joinpath("templates", template).read_text(encoding="utf-8")
    return script, "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def _environment() -> Environment:
    """Cached, because each environment compiles the templates for itself."""
    found = Environment(
        loader=PackageLoader("whet.report"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters.update(
        percent=text.percent,
        seconds=text.seconds,
        size=text.size,
        count=text.count,
        points=text.points,
        amount=text.amount,
        memory=text.memory,
        translated=translated,
    )
    found.globals["tr"], found.globals["tr_n"] = markup(lambda value: str(escape(value)), Markup)
    return found
