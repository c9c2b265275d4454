"""A finished run."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.core.errors import DataError, RecipeError, RunError, unknown
from whet.core.language import in_its_language
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.run_samples import given_rows, mistaken_rows, own_samples, read_as_trained, targets_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from whet.data.table import Table
    from whet.explanations import Explanations
    from whet.inference import InferenceModel
    from whet.segments import SegmentedImage

    Inputs = str | Path | Iterable[str | Path]


class Run:
    """A finished run: its recipe, metrics, predictions and model."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r})"

    def _repr_html_(self) -> str:
        from whet.report.cards import of_run

        return of_run(self.folder)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}  # the network is not sent to other processes; it is loaded again when needed

    @property
    def path(self) -> Path:
        return self.folder.path

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The recipe with every `auto` resolved."""
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
        """Predict files, folders, patterns or tables of files. Returns one row per sample: file, predicted, confidence, error,
        p:<class>. Inputs that are not samples or cannot be read have an empty prediction and an error; no input is dropped. For
        multi-label data, predicted is the list of labels with a probability above 0.5, and confidence that of the whole list. A
        segmentation run returns file, error and the share of each class, area:<class>; see also `segment`. A pre-training returns
        file, error and the features of its network, feature:<number>. A text run accepts texts (the first column is then `text`),
        .txt files, and tables of texts.

        Tables are read with the columns of the training data, unless other columns are given. See `data.inputs` for how inputs are
        distinguished. Raises DataError for an input that looks like a path but does not exist."""
        import pandas as pd

        if self.has_masks:
            return pd.DataFrame([image.row(self.classes) for image in self.segment(inputs, file_column=file_column)])
        frame = given_rows(self.recipe, inputs, file_column, text_column)
        if not self.folder.task.needs_labels:
            features_ND, errors = self._model.statistics(frame)
            names = pd.DataFrame({"text" if "text" in frame else "file": frame["name"], "error": errors})
            return names.join(pd.DataFrame(features_ND).add_prefix("feature:"))
        probs_NK, errors = self._model.probabilities(frame)
        predictions = [
            ("", float("nan")) if error else self._model.prediction(probs) for probs, error in zip(probs_NK, errors)
        ]
        found = pd.DataFrame(
            {
                "text" if "text" in frame else "file": frame["name"],
                "predicted": pd.Series([predicted for predicted, _ in predictions], dtype=object),
                "confidence": [confidence for _, confidence in predictions],
                "error": errors,
            }
        )
        return found.join(pd.DataFrame(probs_NK, columns=[f"p:{name}" for name in self.classes]))

    def own_samples(self) -> Table:
        """The labelled samples of this run as they are now in its data, with their recorded splits. Missing ones are left out."""
        return own_samples(self.folder, self.recipe)

    @property
    def has_masks(self) -> bool:
        """Whether this run predicts masks (`segment`)."""
        from whet.core.mask_task import MaskTask

        return isinstance(self.folder.task, MaskTask)

    def segment(self, inputs: Inputs, *, file_column: str | None = None) -> Iterator[SegmentedImage]:
        """The predicted masks of files, folders, patterns or tables of files, in their order, one at a time. Inputs that cannot be
        read have an error. `whet.segments.write_segments` writes them."""
        return self._model.segmented(given_rows(self.recipe, inputs, file_column, None))

    def explain(
        self, inputs: Inputs | None = None, *, class_name: str | None = None, most: int = 12,
        file_column: str | None = None, text_column: str | None = None,
    ) -> Explanations:  # fmt: skip
        """Explain predictions: heatmaps for images and audio, word attributions for texts, for the predicted class or
        `class_name`. inputs: as in `predict`; by default the run's mistakes, at most `most`, in descending order of confidence
        (their data must still exist; samples are matched by content). `save` writes a page. Raises RecipeError, DataError, and
        CannotExplain if the network type is not supported, or the run predicts objects. For masks of classes, the pixels predicted
        as the class are explained, by default the largest one besides the first; their `probs` are shares of the mask."""
        from whet.explanations import Explained, Explanations

        if not self.folder.task.needs_labels:
            raise RunError(f"{self.path} is a pre-training: it predicts nothing that could be explained")
        if self.has_masks:
            self._require_explicable_masks(inputs)
        if class_name is not None and class_name not in self.classes:
            raise RecipeError(unknown("class", class_name, self.classes, f"run {self.path}"))
        frame = (
            mistaken_rows(self.folder, self.recipe, most)
            if inputs is None
            else given_rows(self.recipe, inputs, file_column, text_column)
        )
        probs_NK, errors = (self._model.shares if self.has_masks else self._model.probabilities)(frame)
        class_N = (
            [0 if error else self._explained_class(probs_K) for probs_K, error in zip(probs_NK, errors)]
            if class_name is None
            else [self.classes.index(class_name)] * len(frame)
        )
        found = dict(self._model.explanations(frame, class_N))
        labels = frame["recorded_label"] if "recorded_label" in frame else [""] * len(frame)
        samples = [
            Explained(
                name, dict(zip(self.classes, probs_K.tolist())), self.classes[k], found.get(index), label, errors[index]
            )
            for index, (name, label, probs_K, k) in enumerate(zip(frame["name"], labels, probs_NK, class_N))
        ]
        return Explanations(samples, self.folder, mistakes=inputs is None)

    def _explained_class(self, probs_K: np.ndarray) -> int:
        """The predicted class; of a mask the largest besides the first, unless there is none."""
        if self.has_masks and probs_K[1:].any():
            return 1 + int(probs_K[1:].argmax())
        return int(probs_K.argmax())

    def _require_explicable_masks(self, inputs: Inputs | None) -> None:
        from whet.core.mask_task import MaskTask
        from whet.explain import CannotExplain

        task = self.folder.task
        if isinstance(task, MaskTask) and task.counts_objects:
            raise CannotExplain(
                f"run {self.path} predicts objects, which are not explained; whet predict {self.path} IMAGES --out FOLDER writes "
                "their masks"
            )
        if inputs is None:
            raise RunError(f"{self.path}: give the images to explain; the report shows those with the lowest IoU")

    def evaluate(self, data: str | Path | DataSpec | None = None, *, part: str | None = None) -> dict[str, Any]:
        """Evaluate on other data: a folder or table with classes of this run, or a DataSpec with reading options. part: the
        split, "all" (default), "train", "val" or "test". Without data, evaluate on the run's own samples with their original
        splits; part is then "test" by default, or "val" if the run has no test split.

        Columns, label_columns and label_separator default to those of the training data. `trained_on` counts samples with the
        same content as a training sample, `validated_on` those with the same content as a sample used for choices: metrics on
        these are no estimate for new data. `left_out` lists the samples that could not be read."""
        import numpy as np

        from whet.training.data_record import known_samples

        own = {name: self.metrics[name] for name in ("test", "val") if name in self.metrics}
        if data is None and part is None:
            part = next(iter(own))
        if data is None and part in own:
            known = {"trained_on": 0, "validated_on": own[part]["samples"] if part == "val" else 0}
            return {"part": part, **known, **own[part]}
        if not self.folder.task.needs_labels:
            raise RunError(
                f"{self.path} is a pre-training, measured on its own held-out samples: {', '.join(own)}; to evaluate its features "
                f"with labels, train on them: whet train DATA --weights {self.path}"
            )
        table = (
            own_samples(self.folder, self.recipe)
            if data is None
            else read_as_trained(data, self.recipe, self._model.task)
        )
        where = f"data {table.root}" if data is None else f"data {data.path if isinstance(data, DataSpec) else data}"
        if part not in (None, "all"):
            table = table.part(part)
            if not len(table):
                raise DataError(
                    f"{where} has no split '{part}'; accepted: all, or a split named by its folders or lists. "
                    "Without data, the split is that of the run's own samples"
                )
        frame, labels = table.frame, targets_of(table, self.classes, where)
        if "masks" in frame:
            numbers = tuple(self.classes.index(name) for name in table.classes)
            frame = frame.assign(masks=[masks.renumbered(numbers) for masks in frame["masks"]])
        found_NS, errors = self._model.statistics(frame)
        read = np.array([not error for error in errors])
        if not read.any():
            raise DataError(f"{where}: none of {len(table)} samples can be read; first error: {errors[0]}")
        ids, labels = frame["id"].to_numpy()[read], labels[read]
        metrics = table.task.measure(table.task.evidence(self.classes, ids, labels, found_NS[read]))
        known = known_samples(self.folder, table.with_frame(table.frame[read]))
        metrics |= {"part": part or "all", "trained_on": known["train"], "validated_on": known["val"]}
        metrics["left_out"] = [
            {"id": id_, "reason": error} for id_, error in zip(table.frame["id"], errors) if error
        ] + [vars(entry) for entry in table.skipped]  # fmt: skip
        return metrics

    def plot_curves(self) -> Figure:
        """The loss per step, the validation metrics, and the learning rate, as a figure."""
        from whet.report.sections.curves import learning_curves

        drawing = learning_curves(self.folder, self.folder.log_records())
        if drawing is None:
            raise RunError(f"{self.path}: no step was trained, so there are no learning curves")
        return drawing.figure()

    def plot_confusion(self) -> Figure:
        """The confusion matrix of the test samples, or of the validation samples if there is no test split, as a figure. RunError
        where the task has none."""
        from whet.report.sections.confusion import confusion_matrix

        self._require_section("confusion", "confusion matrix")
        return confusion_matrix(self.folder).figure()

    def plot_calibration(self) -> Figure:
        """The accuracy at each confidence, on the same samples as `plot_confusion`, as a figure. RunError where the task has no
        confidences."""
        from whet.report.sections.calibration import reliability_diagram

        self._require_section("calibration", "reliability diagram")
        return reliability_diagram(self.folder).figure()

    def _require_section(self, name: str, title: str) -> None:
        if name not in self.folder.task.sections:
            raise RunError(f"{self.path}: a run of the task '{self.folder.task.name}' has no {title}")

    @in_its_language
    def report(self, *, language: str | None = None) -> Path:
        """Rebuild report.html and return its path. language: "en" or "zh"; by default that of the locale."""
        from whet.report import build_report

        return build_report(self.folder)
