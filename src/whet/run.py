"""whet from Python: train, load, and what a run can do."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from whet.core.errors import DataError, RecipeError, RunError, unknown
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder, next_name
from whet.core.spec import DataSpec


class Sheet(Protocol):
    """What `augment` shows."""

    def save(self, fp: Any, /) -> None: ...


if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from whet.data.table import Table
    from whet.evaluate.compare import Comparison, Group
    from whet.explanations import Explanations
    from whet.inference import InferenceModel
    from whet.train.log import Observer

    Inputs = str | Path | Iterable[str | Path]


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
    return Run(
        train_run(
            asked, out, observer=observer, tensorboard=tensorboard, strict=strict, started=started, report=build_report
        )
    )


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
    from whet.train.job import resume_run

    return Run(resume_run(path, data, observer=observer, accept_changed_data=accept_changed_data, report=build_report))


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
    from whet.data.read import read_samples
    from whet.report import build_report
    from whet.train.data_record import as_recorded
    from whet.train.fuse import fuse, show_mistakes

    folders = [RunFolder.open(run.path if isinstance(run, Run) else run) for run in runs]
    if len({folder.path.resolve() for folder in folders}) < max(2, len(folders)):
        raise RunError(f"an ensemble is of two runs or more, each once; got {', '.join(str(f.path) for f in folders)}")
    path = Path(out) if out is not None else next_name(Path("runs"), "ensemble")
    data = Recipe.load(folders[0].recipe).data
    RunFolder(path).require_new(data.path)
    watch = observer or Observer()
    watch.stage(f"putting {len(folders)} runs together")
    table = read_samples(data)
    made = fuse(folders, path)
    show_mistakes(made, as_recorded(made, table))
    build_report(made)
    return Run(made)


class Run:
    """A run folder: what was trained, how well, and the model to predict with."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}  # its network is loaded anew where it is needed

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
    def _model(self) -> InferenceModel:
        from whet.inference import InferenceModel

        return InferenceModel(self.folder)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._model.classes

    def predict(
        self, inputs: Inputs, *, file_column: str | None = None, text_column: str | None = None
    ) -> pd.DataFrame:
        """Files, folders, patterns or tables of files -> a row a sample: file, predicted, confidence, error, p:<class>. What is no
        sample, or cannot be read, has an empty prediction and its error; nothing is left out silently. Where a sample may have
        several labels, predicted is the list of those whose probability is above one half, and confidence that of the whole list.
        A run on texts takes the texts themselves (the first column is then `text`), .txt files, and tables of texts.

        The columns that are read in tables are those that the run was trained on, unless others are named. See `data.inputs` for
        how inputs are told apart. Raises DataError for what looks like a path and names nothing."""
        import pandas as pd

        frame = self._given(inputs, file_column, text_column)
        probs_NK, errors = self._model.probabilities(frame)
        answers = [("", float("nan")) if error else self._model.said(probs) for probs, error in zip(probs_NK, errors)]
        found = pd.DataFrame(
            {
                "text" if "text" in frame else "file": frame["name"],
                "predicted": pd.Series([predicted for predicted, _ in answers], dtype=object),
                "confidence": [confidence for _, confidence in answers],
                "error": errors,
            }
        )
        return found.join(pd.DataFrame(probs_NK, columns=[f"p:{name}" for name in self.classes]))

    def explain(
        self, inputs: Inputs | None = None, *, class_name: str | None = None, most: int = 12,
        file_column: str | None = None, text_column: str | None = None,
    ) -> Explanations:  # fmt: skip
        """Why the model answers as it does: of pictures and sounds where, of texts which words speak for a class, its own answer or
        `class_name`. inputs: as of `predict`; without them, so many of the run's mistakes at most, the most confident first (their
        data must still be there; each is found by its content). `save` writes a page. Raises RecipeError, DataError, and
        CannotExplain where the network is of no kind that can be explained."""
        from whet.explanations import Explained, Explanations

        if class_name is not None and class_name not in self.classes:
            raise RecipeError(unknown("class", class_name, self.classes, f"run {self.path}"))
        frame = self._mistakes(most) if inputs is None else self._given(inputs, file_column, text_column)
        probs_NK, errors = self._model.probabilities(frame)
        class_N = (
            [0 if error else int(probs_K.argmax()) for probs_K, error in zip(probs_NK, errors)]
            if class_name is None
            else [self.classes.index(class_name)] * len(frame)
        )
        found = dict(self._model.explanations(frame, class_N))
        labels = frame["said"] if "said" in frame else [""] * len(frame)
        samples = [
            Explained(
                name, dict(zip(self.classes, probs_K.tolist())), self.classes[k], found.get(index), label, errors[index]
            )
            for index, (name, label, probs_K, k) in enumerate(zip(frame["name"], labels, probs_NK, class_N))
        ]
        return Explanations(samples, self.folder, mistakes=inputs is None)

    def _given(self, inputs: Inputs, file_column: str | None, text_column: str | None) -> pd.DataFrame:
        """The rows of what was given (see `read_inputs`)."""
        from whet.data.inputs import read_inputs

        named = {"file_column": file_column, "text_column": text_column}
        spec = self.recipe.data.replace(**{key: name for key, name in named.items() if name is not None})
        return read_inputs(inputs, spec, self.recipe.medium)

    def _own_samples(self) -> Table:
        """The samples that the run was made with, as they lie in its data now."""
        from whet.data.read import read_samples
        from whet.train.data_record import as_recorded

        return as_recorded(self.folder, read_samples(self.recipe.data).for_problem(self.recipe.task))

    def _mistakes(self, most: int) -> pd.DataFrame:
        """Rows as of `_given`, with the label as the run has it (`said`), of the samples that it was wrong on with the most
        confidence: of the test part, or of validation without one."""
        said = self.predictions
        said = said[said["split"] == ("test" if "test" in self.metrics else "val")]
        wrong = said[said["label"] != said["predicted"]]
        if not len(wrong):
            raise RunError(f"{self.path}: none of its {len(said)} samples was wrong; name files or texts to explain")
        rows = self._own_samples().frame.drop_duplicates("id").set_index("id", drop=False)
        wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
        wrong = wrong[wrong["id"].isin(rows.index)].head(most)
        if not len(wrong):
            raise DataError(f"data {self.recipe.data.path} no longer hold the samples that {self.path} was wrong on")
        return (
            rows.loc[wrong["id"]].reset_index(drop=True).assign(name=wrong["id"].tolist(), said=wrong["label"].tolist())
        )

    def evaluate(self, data: str | Path | DataSpec | None = None, *, part: str | None = None) -> dict[str, Any]:
        """Metrics on other data: a folder or table whose classes this run knows, or a DataSpec that says how it is read. part:
        "all" (the default), or "train", "val", "test" of it. Without data, on the run's own samples, each in the part that it had
        in training; part is then "test" by default, or "val" where the run has no test part.

        Columns that are not named are those that the run was trained on; so are label_columns and label_separator. `trained_on`
        counts the samples whose content the run was trained on, `validated_on` those by which something was chosen: figures on
        these are no estimate for new data. `left_out` lists what could not be read."""
        import numpy as np

        from whet.core.evidence import Evidence
        from whet.train.data_record import known_samples

        own = {name: self.metrics[name] for name in ("test", "val") if name in self.metrics}
        if data is None and part is None:
            part = next(iter(own))
        if data is None and part in own:
            known = {"trained_on": 0, "validated_on": own[part]["samples"] if part == "val" else 0}
            return {"part": part, **known, **own[part]}
        table = self._own_samples() if data is None else self._read_as_trained(data)
        where = f"data {table.root}" if data is None else f"data {data.path if isinstance(data, DataSpec) else data}"
        if part not in (None, "all"):
            table = table.part(part)
            if not len(table):
                raise DataError(
                    f"{where} has no part '{part}'; accepted: all, or the parts that its folders or lists name. "
                    "Without data, a part is that of the run's own samples"
                )
        probs_NK, errors = self._model.probabilities(table.frame)
        read = np.array([not error for error in errors])
        if not read.any():
            raise DataError(f"{where}: none of {len(table)} samples can be read; the first: {errors[0]}")
        ids, truth = table.frame["id"].to_numpy()[read], self._truth(table, where)[read]
        metrics = table.task.measure(Evidence(table.task, self.classes, ids, truth, probs_NK[read]))
        known = known_samples(self.folder, table.with_frame(table.frame[read]))
        metrics |= {"part": part or "all", "trained_on": known["train"], "validated_on": known["val"]}
        metrics["left_out"] = [
            {"id": id_, "reason": error} for id_, error in zip(table.frame["id"], errors) if error
        ] + [vars(entry) for entry in table.skipped]  # fmt: skip
        return metrics

    def _read_as_trained(self, data: str | Path | DataSpec) -> Table:
        """The samples of other data; what is not said of how they are read is as it was for the run's own."""
        from whet.data.read import medium_of, read_samples

        spec, own = DataSpec.of(data), self.recipe.data
        keys = ["text_column" if self.recipe.medium == "text" else "file_column"]
        if spec.label_column is None and not spec.several_labels:
            keys += ["label_column", "label_columns", "label_separator"]
        inherited = {key: getattr(own, key) for key in keys if getattr(spec, key) is None}
        try:
            table = read_samples(spec.replace(**inherited))
        except DataError as error:
            if medium_of(spec) != self.recipe.medium:
                raise self._of_another_medium(spec, medium_of(spec)) from None
            if not any(f"'{name}'" in str(error) for key, name in inherited.items() if key.endswith("column")):
                raise
            raise DataError(f"{error} (the run was trained on this column; another must be named)") from None
        if table.medium != self.recipe.medium:
            raise self._of_another_medium(spec, table.medium)
        table = table.for_problem(self.recipe.task)
        if table.task != self._model.task:
            raise DataError(
                f"the samples of data {spec.path} have {table.task.title}; this run was trained on samples with "
                f"{self._model.task.title}"
                + (": give lists of labels, --label-separator or --label-columns" if table.set_SK is None else "")
            )
        return table

    def _of_another_medium(self, spec: DataSpec, medium: str) -> DataError:
        return DataError(f"data {spec.path} holds {medium}s; this run was trained on {self.recipe.medium}s")

    def _truth(self, table: Table, where: str) -> np.ndarray:
        """The labels of a table by the numbers of the run's classes, (N,), or bool (N, K) where there may be several."""
        import numpy as np

        unknown = sorted(set(table.classes) - set(self.classes))
        if unknown:
            raise DataError(
                f"{where} has classes this run never learnt: {', '.join(unknown)}; it knows {', '.join(self.classes)}"
            )
        column_K = np.array([self.classes.index(name) for name in table.classes], dtype=np.int64)
        if table.set_SK is None:
            return column_K[table.label_N]
        truth_NK = np.zeros((len(table), len(self.classes)), dtype=bool)
        truth_NK[:, column_K] = table.truth
        return truth_NK

    def report(self) -> Path:
        """Build report.html anew from the run folder; its path."""
        from whet.report import build_report

        return build_report(self.folder)
