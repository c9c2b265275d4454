"""whet from Python: train, load, and what a run can do."""

from __future__ import annotations

import functools
import glob
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from whet.core.errors import DataError, RecipeError, RunError, unknown
from whet.core.recipe import DataSpec, Recipe, parse_methods
from whet.core.run_folder import RunFolder, next_name


class Sheet(Protocol):
    """What `augment` shows."""

    def save(self, fp: Any, /) -> None: ...


if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from whet.evaluate.compare import Comparison, Group
    from whet.explain import Explanation
    from whet.explanations import Explanations
    from whet.train.log import Observer


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
    from whet.train.job import train_run

    started = time.monotonic()
    asked = ask(data, recipe, methods, budget, weights, architecture, seed)
    folder = train_run(asked, out, observer=observer, tensorboard=tensorboard, strict=strict, started=started)
    build_report(folder)
    return Run(folder)


def ask(
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


def resume(path: str | Path, *, observer: Observer | None = None, accept_changed_data: bool = False) -> Run:
    """Go on with a run that was stopped or killed, to the same end."""
    from whet.report import build_report
    from whet.train.job import resume_run

    folder = resume_run(path, observer=observer, accept_changed_data=accept_changed_data)
    build_report(folder)
    return Run(folder)


def augment(
    recipe: Recipe, *, rows: int = 6, variants: int = 5, size: int | None = None
) -> tuple[Sheet, list[dict[str, Any]]]:
    """What a recipe does to its data's training samples: a sheet of `rows` samples with `variants` of each, whose `save` writes it
    (pictures as one picture, texts and sounds as a page), and the same in words, {id, label, variants: [{methods, target}]}.
    size: of what is shown (see `Recipe.size`); else the recipe's where it names a number, or one that suits these samples."""
    from whet.core.rng import Rng
    from whet.data.read import read_data
    from whet.report.sheet import contact_sheet
    from whet.sheet import SheetPage
    from whet.train.augmentation import Augmentation
    from whet.train.plan import informed, ordered
    from whet.train.resolve import resolve_threads
    from whet.train.sheet import draw_sheet, front_to_look_through, listed
    from whet.train.source import answering_loader, training_loader

    recipe = resolve_threads(recipe)
    table = read_data(recipe.data, int(recipe.train.loader_threads)).part("train")
    front, usual = front_to_look_through(table, recipe)
    size = size or usual
    augmentation = Augmentation([informed(method, front) for method in ordered(recipe.methods)], Rng(recipe.train.seed))
    if table.medium == "picture":
        loader = training_loader(table, recipe.setting(image_size=size))
    else:
        loader = answering_loader(table, recipe)
    drawn = draw_sheet(augmentation, table, loader, size, rows, variants, front)
    sheet: Sheet = contact_sheet(drawn) if table.medium == "picture" else SheetPage(drawn, recipe)
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
    from whet.data.read import read_data
    from whet.report import build_report
    from whet.train.fuse import fuse, show_mistakes

    folders = [RunFolder.open(run.path if isinstance(run, Run) else run) for run in runs]
    if len({folder.path.resolve() for folder in folders}) < max(2, len(folders)):
        raise RunError(f"an ensemble is of two runs or more, each once; got {', '.join(str(f.path) for f in folders)}")
    path = Path(out) if out is not None else next_name(Path("runs"), "ensemble")
    data = Recipe.load(folders[0].asked).data
    RunFolder(path).require_new(data.path)
    watch = observer or Observer()
    watch.stage(f"putting {len(folders)} runs together")
    table = read_data(data)
    made = fuse(folders, path)
    show_mistakes(made, table)
    build_report(made)
    return Run(made)


class Run:
    """A run folder: what was trained, how well, and the model to predict with."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    @property
    def path(self) -> Path:
        return self.folder.path

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The recipe, every `auto` resolved."""
        return Recipe.load(self.folder.recipe)

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        return self.folder.read_json(self.folder.metrics)

    @functools.cached_property
    def predictions(self) -> pd.DataFrame:
        """Validation and test samples: id, split, label, predicted, confidence, p:<class>."""
        return self.folder.read_predictions()

    @functools.cached_property
    def _model(self) -> _Model:
        return _Model(self.folder)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._model.classes

    def predict(self, inputs: str | Path | Iterable[str | Path]) -> pd.DataFrame:
        """Files, folders or patterns -> a row a sample: file, predicted, confidence, error, p:<class>. A file that cannot be
        read has an empty prediction and its error; none is left out silently. Where a sample may have several labels, predicted is
        the list of those whose probability is above one half, and confidence that of the whole list. A run on texts takes the
        texts themselves (the first column is then `text`), .txt files, and tables with a text column."""
        import pandas as pd

        frame, samples, _ = self._given(inputs)
        column = "text" if "text" in frame else "file"
        probs_NK, errors = self._model.probabilities(frame)
        rows = []
        for sample, probs_K, error in zip(samples, probs_NK, errors):
            predicted, confidence = ("", float("nan")) if error else self._model.said(probs_K)
            rows.append(
                {
                    column: sample,
                    "predicted": predicted,
                    "confidence": confidence,
                    "error": error,
                    **{f"p:{name}": float(p) for name, p in zip(self.classes, probs_K)},
                }
            )
        return pd.DataFrame(rows)

    def explain(
        self, inputs: str | Path | Iterable[str | Path] | None = None, *, class_name: str | None = None, most: int = 12
    ) -> Explanations:
        """Why the model answers as it does: of pictures and sounds where, of texts which words speak for a class, its own answer or
        `class_name`. inputs: as of `predict`; without them, so many of the run's mistakes at most, the most confident first (their
        data must still be there). `save` writes a page. Raises RecipeError, DataError, and CannotExplain where the network is of
        no kind that can be explained."""
        from whet.explanations import Explained, Explanations

        if class_name is not None and class_name not in self.classes:
            raise RecipeError(unknown("class", class_name, self.classes, f"run {self.path}"))
        frame, names, labels = self._mistakes(most) if inputs is None else self._given(inputs)
        probs_NK, errors = self._model.probabilities(frame)
        class_N = probs_NK.argmax(axis=1) if class_name is None else [self.classes.index(class_name)] * len(frame)
        found = dict(self._model.explanations(frame, class_N))
        samples = [
            Explained(
                name, dict(zip(self.classes, probs_K.tolist())), self.classes[k], found.get(index), label, errors[index]
            )
            for index, (name, label, probs_K, k) in enumerate(zip(names, labels, probs_NK, class_N))
        ]
        return Explanations(samples, self.folder, mistakes=inputs is None)

    def _given(self, inputs: str | Path | Iterable[str | Path]) -> tuple[pd.DataFrame, list[str], list[str]]:
        """The table's frame of what was given, what each sample is called, and its class: none is known."""
        import pandas as pd

        given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
        if self.recipe.medium == "text":
            samples = find_texts(given, self.recipe.data.text_column)
            return pd.DataFrame({"text": samples}), samples, [""] * len(samples)
        samples = [str(file) for file in find_files(given, self.recipe.medium)]
        return pd.DataFrame({"path": samples}), samples, [""] * len(samples)

    def _mistakes(self, most: int) -> tuple[pd.DataFrame, list[str], list[str]]:
        """The same of the samples that it was wrong on with the most confidence: of the test part, or of validation without one."""
        from whet.data.read import read_samples

        said = self.predictions
        said = said[said["split"] == ("test" if "test" in self.metrics else "val")]
        wrong = said[said["label"] != said["predicted"]]
        if not len(wrong):
            raise RunError(f"{self.path}: none of its {len(said)} samples was wrong; name files or texts to explain")
        rows = read_samples(self.recipe.data).frame.set_index("id", drop=False)
        wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
        wrong = wrong[wrong["id"].isin(rows.index)].head(most)
        if not len(wrong):
            raise DataError(f"data {self.recipe.data.path} no longer hold the samples that {self.path} was wrong on")
        return rows.loc[wrong["id"]].reset_index(drop=True), wrong["id"].tolist(), wrong["label"].tolist()

    def evaluate(self, data: str | Path | DataSpec, *, part: str = "all") -> dict[str, Any]:
        """Metrics on other data: a folder or table whose classes this run knows. part: "all", or "train", "val", "test" of it.
        Where nothing is said of several labels, they stand as they stood in this run's own data."""
        import numpy as np

        from whet.data.read import read_samples
        from whet.evaluate.metrics import classification_metrics

        spec, own = DataSpec.of(data), self.recipe.data
        data = str(spec.path)
        if own.several_labels and not spec.several_labels and spec.label_column is None:
            spec = spec.replace(label_columns=own.label_columns, label_separator=own.label_separator)
        table = read_samples(spec)
        if table.medium != self.recipe.medium:
            raise DataError(f"data {data} holds {table.medium}s; this run was trained on {self.recipe.medium}s")
        if table.multi_label != self._model.multi_label:
            here, there = ("several labels", "one class") if table.multi_label else ("one class", "several labels")
            raise DataError(
                f"data {data} has {here} a sample; this run was trained on {there} a sample"
                + ("" if table.multi_label else ": give lists of labels, --label-separator or --label-columns")
            )
        if part != "all":
            table = table.part(part)
            if not len(table):
                raise DataError(
                    f"data {data} has no part '{part}'; accepted: all, or the parts that its folders or lists name"
                )
        unknown = sorted(set(table.classes) - set(self.classes))
        if unknown:
            raise DataError(
                f"data {data} has classes this run never learnt: {', '.join(unknown)}; it knows {', '.join(self.classes)}"
            )
        column_K = [self.classes.index(name) for name in table.classes]
        truth = np.array(column_K, dtype=np.int64)[table.label_N] if not table.multi_label else None
        if truth is None:
            truth = np.zeros((len(table), len(self.classes)), dtype=bool)
            truth[:, column_K] = table.truth
        probs_NK, errors = self._model.probabilities(table.frame)
        read = np.array([not error for error in errors])
        if not read.any():
            raise DataError(f"data {data}: none of {len(table)} files can be read; the first: {errors[0]}")
        metrics = classification_metrics(probs_NK[read], truth[read], self.classes)
        metrics["left_out"] = [
            {"id": id_, "reason": error} for id_, error in zip(table.frame["id"], errors) if error
        ] + [vars(entry) for entry in table.skipped]  # fmt: skip
        return metrics

    def report(self) -> Path:
        """Build report.html anew from the run folder; its path."""
        from whet.report import build_report

        return build_report(self.folder)


class _Model:
    """A run's network and everything between it and an answer."""

    def __init__(self, folder: RunFolder) -> None:
        from lightning_fabric import Fabric

        from whet.core.process import hush_fabric, keep_freed_memory
        from whet.train.precision import has_bf16
        from whet.train.saved import SavedModel

        if not folder.finished:
            raise RunError(f"{folder.path} is not finished; continue it with: whet train --resume {folder.path}")
        keep_freed_memory()
        hush_fabric()
        device = Fabric(accelerator="auto", devices=1).device
        self._saved = SavedModel(folder.model, device)
        self.classes, self.multi_label = self._saved.classes, self._saved.multi_label
        bf16 = self._saved.precision == "bf16" and has_bf16(device)
        self._fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if bf16 else "32-true")

    def probabilities(self, frame: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        """(probabilities (N, K), an error or '' for each sample) of a table's `path`s or `text`s; a sample in error has NaN."""
        import numpy as np

        from whet.evaluate.answer import answer
        from whet.evaluate.metrics import probabilities

        errors = [""] * len(frame)

        def failed(index: int, reason: str) -> None:
            errors[index] = reason

        saved, fabric = self._saved, self._fabric
        loader = saved.loader(frame, 2)
        logits, index_N = answer(saved.net, saved.predictor, loader, saved.size, fabric.autocast, failed)
        probs_NK = np.full((len(frame), len(self.classes)), np.nan)
        probs_NK[index_N] = probabilities(logits.double().numpy(), self.multi_label)
        return probs_NK, errors

    def explanations(
        self, frame: pd.DataFrame, class_N: Sequence[int] | np.ndarray
    ) -> Iterator[tuple[int, Explanation]]:
        """Why the networks see these classes in a table's samples: row numbers and explanations, of those that can be read."""
        from whet.explain import explain

        saved = self._saved
        return explain(saved.members, saved.loader(frame, 2), saved.size, class_N)

    def said(self, probs_K: np.ndarray) -> tuple[str | list[str], float]:
        """(the class, or the list of labels where there may be several; the probability of that)."""
        from whet.evaluate.metrics import answer_of

        return answer_of(probs_K, self.classes, self.multi_label)


def find_texts(inputs: Sequence[str | Path], column: str | None = None) -> list[str]:
    """Texts as they are given, those of .txt files, and the rows of tables, in the order given."""
    from whet.data.text_table import TEXT_TABLE_SUFFIXES, read_plain_texts

    found: list[str] = []
    for given in inputs:
        path = Path(given).expanduser()
        is_file = len(str(given)) < 1024 and path.suffix.lower() in (".txt", *TEXT_TABLE_SUFFIXES) and path.is_file()
        found += read_plain_texts(path, column) if is_file else [str(given)]
    return found


def find_files(inputs: Sequence[str | Path], medium: str = "picture") -> list[Path]:
    """Files as they are named, the pictures (or sounds) below folders, and what patterns match; each once, in the order given."""
    from whet.data.folder import PICTURES, SOUNDS, files_below

    wanted = SOUNDS if medium == "sound" else PICTURES

    found: dict[Path, None] = {}
    for given in inputs:
        path = Path(given).expanduser()
        if path.is_dir():
            files = files_below(path, wanted)
            if not files:
                raise DataError(f"folder {path} holds no {wanted.name}")
        elif path.is_file():
            files = [path]
        else:
            files = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())
            if not files:
                raise DataError(f"input {given}: no such file or folder, and nothing matches it as a pattern")
        found.update(dict.fromkeys(files))
    return list(found)
