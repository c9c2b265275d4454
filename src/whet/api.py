"""What `import whet` gives for runs: train, resume, load, compare, ensemble, augment."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from whet.core.errors import RunError
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder, next_name
from whet.core.spec import DataSpec
from whet.run import Run

if TYPE_CHECKING:
    from whet.evaluate.compare import Comparison, Group
    from whet.training.log import Observer


class Sheet(Protocol):
    """What `augment` shows."""

    def save(self, fp: Any, /) -> None: ...


def train(
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
    tensorboard: bool = False,
    strict: bool = False,
) -> Run:
    """Train on a folder or table and give the finished run, its report written.

    data: a path, or a DataSpec that also names columns and split lists. recipe: a Recipe, a file, or a shipped name; without one,
    the strong default for this data and model. methods: takes the place of the recipe's methods. budget: "20ep", "500st", "10m".
    weights: a local folder, a hub name, or "none".
    Raises WhetError subclasses; see `whet.core.errors`.
    """
    from whet.report import build_report
    from whet.training.job import train_run

    started = time.monotonic()
    asked = build_recipe(data, recipe, methods, budget, weights, architecture, seed)
    return Run(
        train_run(
            asked, out, observer=observer, tensorboard=tensorboard, strict=strict, started=started, report=build_report
        )
    )


def build_recipe(
    data: str | Path | DataSpec,
    recipe: Recipe | str | Path | None = None,
    methods: Iterable[Any] | None = None,
    budget: str | None = None,
    weights: str | None = None,
    architecture: str | None = None,
    seed: int | None = None,
) -> Recipe:
    """The recipe that these wishes amount to. What `data` leaves open is as the recipe has it."""
    from whet import recipes

    given = recipe if isinstance(recipe, Recipe) else recipes.load(recipe) if recipe is not None else None
    base = given or Recipe()
    spec = DataSpec.of(data).over(base.data)
    model = base.model.replace(
        **{key: value for key, value in (("weights", weights), ("architecture", architecture)) if value is not None}
    )
    if given is None:
        base = recipes.default(spec, model) if methods is None else Recipe(task=recipes.task_for(spec))
    asked = base.replace(data=spec, model=model)
    if methods is not None:
        asked = asked.replace(methods=parse_methods(methods))
    changes = {key: value for key, value in (("budget", budget), ("seed", seed)) if value is not None}
    return asked.setting(**changes) if changes else asked


def resume(
    path: str | Path,
    data: str | Path | None = None,
    *,
    observer: Observer | None = None,
    accept_changed_data: bool = False,
) -> Run:
    """Go on with a run that was stopped or killed, to the same end, its report included. data: where its data lie now, if they were
    moved; their contents must be the same."""
    from whet.report import build_report
    from whet.training.job import resume_run

    return Run(resume_run(path, data, observer=observer, accept_changed_data=accept_changed_data, report=build_report))


def augment(
    recipe: Recipe, *, rows: int = 6, variants: int = 5, size: int | None = None
) -> tuple[Sheet, list[dict[str, Any]]]:
    """What a recipe does to its data's training samples: a sheet of `rows` samples with `variants` of each, whose `save` writes it
    (images as one image, texts and audio as a page), and the same in words, {id, label, variants: [{methods, target}]}.
    size: of what is shown (see `Recipe.size`); else the recipe's where it names a number, or one that suits these samples."""
    from whet.contact_sheet import SheetPage
    from whet.core.rng import Rng
    from whet.data.read import read_data
    from whet.report.preview_page import contact_sheet
    from whet.training.augmentation import Augmentation
    from whet.training.plan import informed, ordered
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
    sheet: Sheet = contact_sheet(drawn) if table.medium == "image" else SheetPage(drawn, recipe)
    return sheet, listed(drawn)


def load(path: str | Path) -> Run:
    """A finished run."""
    return Run(RunFolder.open(path))


def compare(*runs: str | Path | Run, metric: str = "accuracy") -> tuple[Group, list[Comparison]]:
    """Runs paired on the same test samples: the first one's recipe against every other. metric: accuracy, macro_f1, worst_class,
    log_loss or calibration_error; where a sample may have several labels also hamming_accuracy, micro_f1 or
    mean_average_precision."""
    from whet.evaluate.compare import compare_runs

    folders = [run.folder if isinstance(run, Run) else RunFolder.open(run) for run in runs]
    reference, found, _ = compare_runs(folders, metric)
    return reference, found


def ensemble(*runs: str | Path | Run, out: str | Path | None = None, observer: Observer | None = None) -> Run:
    """One model of several finished runs, of any architectures: the mean of their probabilities, without training. Their data must
    still be there, to show what it gets wrong. out: a new folder; by default the next free name below runs/. RunError where they
    answered other samples or out holds something already."""
    from whet.data.read import read_samples
    from whet.report import build_report
    from whet.training.data_record import as_recorded
    from whet.training.ensemble import ensemble_runs, show_mistakes

    folders = [RunFolder.open(run.path if isinstance(run, Run) else run) for run in runs]
    if len({folder.path.resolve() for folder in folders}) < max(2, len(folders)):
        raise RunError(f"an ensemble is of two runs or more, each once; got {', '.join(str(f.path) for f in folders)}")
    path = Path(out) if out is not None else next_name(Path("runs"), "ensemble")
    data = Recipe.load(folders[0].recipe).data
    RunFolder(path).require_new(data.path)
    watch = observer or Observer()
    watch.phase(f"putting {len(folders)} runs together")
    table = read_samples(data)
    made = ensemble_runs(folders, path)
    show_mistakes(made, as_recorded(made, table))
    build_report(made)
    return Run(made)
