"""The samples for a finished run: inputs to predict, data to evaluate on, and the run's own samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from whet.core.errors import DataError, RunError
from whet.core.media import plural
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from whet.core.task import Task
    from whet.data.table import Table

    Inputs = str | Path | Iterable[str | Path]


def given_rows(recipe: Recipe, inputs: Inputs, file_column: str | None, text_column: str | None) -> pd.DataFrame:
    """The rows of the inputs (see `read_inputs`), with the columns of the training data unless other columns are given."""
    from whet.data.inputs import read_inputs

    named = {"file_column": file_column, "text_column": text_column}
    spec = recipe.data.replace(**{key: name for key, name in named.items() if name is not None})
    return read_inputs(inputs, spec, recipe.medium)


def own_samples(folder: RunFolder, recipe: Recipe) -> Table:
    """The run's own samples, as they are now in its data."""
    from whet.data.read import read_samples
    from whet.training.data_record import as_recorded

    return as_recorded(folder, read_samples(recipe.data).for_problem(recipe.task, recipe.model.head))


def mistaken_rows(folder: RunFolder, recipe: Recipe, most: int) -> pd.DataFrame:
    """The rows (as in `given_rows`) of the most confident mistakes, with their label in the column `recorded_label`: from the
    test split, or from the validation split if there is no test split."""
    predictions, metrics = folder.read_predictions(), folder.read_json(folder.metrics)
    predictions = predictions[predictions["split"] == ("test" if "test" in metrics else "val")]
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    if not len(wrong):
        raise RunError(
            f"{folder.path}: all predictions on its {len(predictions)} samples are correct; give files or texts to explain"
        )
    rows = own_samples(folder, recipe).frame.drop_duplicates("id").set_index("id", drop=False)
    wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
    wrong = wrong[wrong["id"].isin(rows.index)].head(most)
    if not len(wrong):
        raise DataError(f"data {recipe.data.path} no longer contain the misclassified samples of {folder.path}")
    return (
        rows.loc[wrong["id"]]
        .reset_index(drop=True)
        .assign(name=wrong["id"].tolist(), recorded_label=wrong["label"].tolist())
    )


def read_as_trained(data: str | Path | DataSpec, recipe: Recipe, task: Task) -> Table:
    """The samples of other data. Reading options that are not given are those of the training data."""
    from whet.data.read import medium_of, read_samples

    spec, own = DataSpec.of(data), recipe.data
    keys = ["text_column" if recipe.medium == "text" else "file_column"]
    if spec.label_column is None and not spec.several_labels:
        keys += ["label_column", "label_columns", "label_separator"]
    inherited = {key: getattr(own, key) for key in keys if getattr(spec, key) is None}
    if spec.masks == type(spec)().masks:
        inherited["masks"] = own.masks
    try:
        table = read_samples(spec.replace(**inherited))
    except DataError as error:
        if medium_of(spec) != recipe.medium:
            raise _of_another_medium(recipe, spec, medium_of(spec)) from None
        if not any(f"'{name}'" in str(error) for key, name in inherited.items() if key.endswith("column")):
            raise
        raise DataError(f"{error} (the run was trained on this column; give another one)") from None
    if table.medium != recipe.medium:
        raise _of_another_medium(recipe, spec, table.medium)
    table = table.for_problem(recipe.task, recipe.model.head).judged_by_masks()
    if table.task != task:
        raise DataError(
            f"the samples of data {spec.path} have {table.task.title}; this run was trained on samples with "
            f"{task.title}"
            + (": give lists of labels, --label-separator or --label-columns" if table.set_SK is None else "")
        )
    return table


def _of_another_medium(recipe: Recipe, spec: DataSpec, medium: str) -> DataError:
    return DataError(f"data {spec.path} contains {plural(medium)}; this run was trained on {plural(recipe.medium)}")


def targets_of(table: Table, classes: tuple[str, ...], where: str) -> np.ndarray:
    """The labels of a table as class indices of the run, (N,), or bool (N, K) for multi-label data."""
    import numpy as np

    unknown = sorted(set(table.classes) - set(classes))
    if unknown:
        raise DataError(
            f"{where} has classes that this run was not trained on: {', '.join(unknown)}; its classes are {', '.join(classes)}"
        )
    column_K = np.array([classes.index(name) for name in table.classes], dtype=np.int64)
    if table.set_SK is None:
        return column_K[table.label_N]
    label_NK = np.zeros((len(table), len(classes)), dtype=bool)
    label_NK[:, column_K] = table.labels
    return label_NK
