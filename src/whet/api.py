"""The public functions for runs: train, resume, load, compare, ensemble, augment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from whet.core.errors import RunError
from whet.core.language import english, in_its_language
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder, next_name
from whet.core.spec import DataSpec, ModelSpec
from whet.run import Run

if TYPE_CHECKING:
    from whet.comparisons import Comparisons
    from whet.training.log import Observer


class ContactSheet(Protocol):
    """The preview that `augment` returns."""

    def save(self, fp: Any, /) -> None: ...


@in_its_language
def train(
    data: str | Path | DataSpec,
    *,
    recipe: Recipe | str | Path | None = None,
    methods: Iterable[Any] | None = None,
    budget: str | None = None,
    weights: str | None = None,
    architecture: str | None = None,
    head: str | None = None,
    task: str | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    track: Sequence[str] = (),
    strict: bool = False,
    language: str | None = None,
) -> Run:
    """Train on a folder or table, write the report, and return the finished run.

    data: a path, or a DataSpec that also names columns and split lists. recipe: a Recipe, a file, or the name of a shipped
    recipe; by default the strong recipe for this data and model. methods: replace the recipe's methods. budget: "20ep", "500st",
    "10m". weights: a local folder, a hub name, or "none". head: what predicts from the features (`ModelSpec.head`). task: by
    default that of the recipe, or what the data suggest. track: names of trackers, such as "mlflow" (`whet.tracking`). language: of
    the report, "en" or "zh"; by default that of the locale. Raises WhetError subclasses; see `whet.core.errors`.
    """
    from whet.report import build_report
    from whet.training.job import train_run

    started = time.monotonic()
    requested = build_recipe(
        data, recipe, methods, budget, weights=weights, architecture=architecture, head=head, task=task, seed=seed
    )
    return Run(
        train_run(
            requested,
            out,
            observer=observer,
            track=track,
            strict=strict,
            started=started,
            report=build_report,
        )
    )


@in_its_language
def pretrain(
    data: str | Path | DataSpec,
    *,
    recipe: Recipe | str | Path | None = None,
    methods: Iterable[Any] | None = None,
    budget: str | None = None,
    weights: str | None = None,
    architecture: str | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
) -> Run:
    """Pre-train the backbone of a network on samples without using labels, and return the finished run. A training starts from it
    with `weights=run.path`.

    data: a folder of files or a table, with or without labels, or a DataSpec. Data with labels are split as in a training on them,
    and only the training part and `DataSpec.unlabelled` are trained on. Other arguments: see `train`; by default simsiam for
    images, simclr for audio clips and masked_language_model for texts. Raises CollapseError where nothing can be learned.
    """
    from whet import recipes

    spec = DataSpec.of(data)
    asked = {key: value for key, value in (("weights", weights), ("architecture", architecture)) if value is not None}
    return train(
        spec, recipe=recipes.for_pretraining(spec, ModelSpec(**asked)) if recipe is None else recipe, methods=methods,
        budget=budget, weights=weights, architecture=architecture, seed=seed, out=out, observer=observer,
    )  # fmt: skip


def build_recipe(
    data: str | Path | DataSpec,
    recipe: Recipe | str | Path | None = None,
    methods: Iterable[Any] | None = None,
    budget: str | None = None,
    *,
    weights: str | None = None,
    architecture: str | None = None,
    head: str | None = None,
    task: str | None = None,
    seed: int | None = None,
) -> Recipe:
    """Build the recipe from these arguments. Settings that `data` does not give are taken from the recipe."""
    from whet import recipes

    given = recipe if isinstance(recipe, Recipe) else recipes.load(recipe) if recipe is not None else None
    base = given or Recipe()
    spec = DataSpec.of(data).over(base.data)
    asked = {"weights": weights, "architecture": architecture, "head": head}
    model = base.model.replace(**{key: value for key, value in asked.items() if value is not None})
    if given is None:
        base = (
            recipes.default(spec, model, task=task) if methods is None else Recipe(task=task or recipes.task_for(spec))
        )
    requested = base.replace(data=spec, model=model, **({} if task is None else {"task": task}))
    if methods is not None:
        requested = requested.replace(methods=parse_methods(methods))
    changes = {key: value for key, value in (("budget", budget), ("seed", seed)) if value is not None}
    return requested.setting(**changes) if changes else requested


@in_its_language
def resume(
    path: str | Path,
    data: str | Path | None = None,
    *,
    observer: Observer | None = None,
    accept_changed_data: bool = False,
    language: str | None = None,
) -> Run:
    """Resume a run that was stopped or killed, and finish it with its report. The result is the same as without the interruption.
    data: the new location of the data if they were moved; their contents must be unchanged. language: of the report, see
    `train`."""
    from whet.report import build_report
    from whet.training.job import resume_run

    return Run(resume_run(path, data, observer=observer, accept_changed_data=accept_changed_data, report=build_report))


def augment(
    recipe: Recipe, *, rows: int = 6, variants: int = 5, size: int | None = None
) -> tuple[ContactSheet, list[dict[str, Any]]]:
    """Preview a recipe on training samples. Returns a preview of `rows` samples with `variants` each, whose `save` writes one image
    (images) or a page (texts and audio), and a list of {id, label, variants: [{methods, target}]}.
    size: the size of the samples (see `Recipe.size`); by default the recipe's size if it is a number, else one that fits the
    data."""
    from whet.contact_sheet import PreviewPage
    from whet.core.rng import Rng
    from whet.data.read import read_data
    from whet.report.preview_page import contact_sheet
    from whet.training.augmentation import Augmentation, informed
    from whet.training.plan import ordered
    from whet.training.preview import draw_preview, front_to_look_through, listed
    from whet.training.resolve import resolve_threads
    from whet.training.source import eval_loader, training_loader

    recipe = resolve_threads(recipe)
    table = read_data(recipe.data, int(recipe.train.loader_threads)).part("train")
    front, usual = front_to_look_through(table, recipe)
    size = size or usual
    augmentation = Augmentation([informed(method, front) for method in ordered(recipe.methods)], Rng(recipe.train.seed))
    if table.medium == "image":
        loader = training_loader(table, recipe.setting(image_size=size))
    else:
        loader = eval_loader(table, recipe)
    drawn = draw_preview(augmentation, table, loader, size, rows, variants, front)
    sheet: ContactSheet = contact_sheet(drawn) if table.medium == "image" else PreviewPage(drawn, recipe)
    return sheet, listed(drawn)


def load(path: str | Path) -> Run:
    """Load a finished run."""
    return Run(RunFolder.open(path))


def compare(*runs: str | Path | Run, metric: str | None = None) -> Comparisons:
    """Compare runs on the same test samples, paired: the recipe of the first run with every other recipe. Returns the tuple
    (reference, comparisons). metric: a metric of their task, by default its headline: accuracy, or mean_iou for masks."""
    from whet.comparisons import Comparisons
    from whet.evaluate.compare import compare_runs

    folders = [run.folder if isinstance(run, Run) else RunFolder.open(run) for run in runs]
    reference, found, _ = compare_runs(folders, metric)
    return Comparisons(reference, found)


@in_its_language
def ensemble(
    *runs: str | Path | Run,
    out: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
) -> Run:
    """Combine finished runs of any architectures into one model that averages their probabilities, without training. Their data
    must still exist, because the report shows mistakes. out: a new folder; by default the next free name in runs/. language: of
    the report, see `train`. Raises RunError if the runs predicted different samples or `out` is not empty."""
    from whet.data.read import read_samples
    from whet.report import build_report
    from whet.training.data_record import as_recorded
    from whet.training.ensemble import ensemble_runs, show_mistakes
    from whet.training.notebook_progress import default_observer

    folders = [RunFolder.open(run.path if isinstance(run, Run) else run) for run in runs]
    if len({folder.path.resolve() for folder in folders}) < max(2, len(folders)):
        raise RunError(f"an ensemble needs two or more different runs; got {', '.join(str(f.path) for f in folders)}")
    path = Path(out) if out is not None else next_name(Path("runs"), "ensemble")
    recipe = Recipe.load(folders[0].recipe)
    RunFolder(path).require_new(recipe.data.path)
    watch = observer or default_observer()
    watch.phase(english("combining {n} runs", n=len(folders)))
    table = read_samples(recipe.data).for_problem(recipe.task, recipe.model.head)
    made = ensemble_runs(folders, path)
    show_mistakes(made, as_recorded(made, table))
    build_report(made)
    return Run(made)
