"""A finished run, and what it can do."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.core.errors import DataError, RecipeError, unknown
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec
from whet.run_samples import given_rows, mistaken_rows, own_samples, read_as_trained, targets_of

if TYPE_CHECKING:
    import pandas as pd

    from whet.explanations import Explanations
    from whet.inference import InferenceModel

    Inputs = str | Path | Iterable[str | Path]


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

        frame = given_rows(self.recipe, inputs, file_column, text_column)
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
        """Why the model answers as it does: of images and audio where, of texts which words speak for a class, its own answer or
        `class_name`. inputs: as of `predict`; without them, so many of the run's mistakes at most, the most confident first (their
        data must still be there; each is found by its content). `save` writes a page. Raises RecipeError, DataError, and
        CannotExplain where the network is of no kind that can be explained."""
        from whet.explanations import Explained, Explanations

        if class_name is not None and class_name not in self.classes:
            raise RecipeError(unknown("class", class_name, self.classes, f"run {self.path}"))
        frame = (
            mistaken_rows(self.folder, self.recipe, most)
            if inputs is None
            else given_rows(self.recipe, inputs, file_column, text_column)
        )
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

    def evaluate(self, data: str | Path | DataSpec | None = None, *, part: str | None = None) -> dict[str, Any]:
        """Metrics on other data: a folder or table whose classes this run knows, or a DataSpec that says how it is read. part:
        "all" (the default), or "train", "val", "test" of it. Without data, on the run's own samples, each in the part that it had
        in training; part is then "test" by default, or "val" where the run has no test part.

        Columns that are not named are those that the run was trained on; so are label_columns and label_separator. `trained_on`
        counts the samples whose content the run was trained on, `validated_on` those by which something was chosen: figures on
        these are no estimate for new data. `left_out` lists what could not be read."""
        import numpy as np

        from whet.core.evidence import Evidence
        from whet.training.data_record import known_samples

        own = {name: self.metrics[name] for name in ("test", "val") if name in self.metrics}
        if data is None and part is None:
            part = next(iter(own))
        if data is None and part in own:
            known = {"trained_on": 0, "validated_on": own[part]["samples"] if part == "val" else 0}
            return {"part": part, **known, **own[part]}
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
                    f"{where} has no part '{part}'; accepted: all, or the parts that its folders or lists name. "
                    "Without data, a part is that of the run's own samples"
                )
        probs_NK, errors = self._model.probabilities(table.frame)
        read = np.array([not error for error in errors])
        if not read.any():
            raise DataError(f"{where}: none of {len(table)} samples can be read; the first: {errors[0]}")
        ids, truth = table.frame["id"].to_numpy()[read], targets_of(table, self.classes, where)[read]
        metrics = table.task.measure(Evidence(table.task, self.classes, ids, truth, probs_NK[read]))
        known = known_samples(self.folder, table.with_frame(table.frame[read]))
        metrics |= {"part": part or "all", "trained_on": known["train"], "validated_on": known["val"]}
        metrics["left_out"] = [
            {"id": id_, "reason": error} for id_, error in zip(table.frame["id"], errors) if error
        ] + [vars(entry) for entry in table.skipped]  # fmt: skip
        return metrics

    def report(self) -> Path:
        """Build report.html anew from the run folder; its path."""
        from whet.report import build_report

        return build_report(self.folder)
