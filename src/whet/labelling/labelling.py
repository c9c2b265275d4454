"""The unlabelled samples that are worth labelling next, by a finished run, as a table to fill in and a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError, OutputError, RecipeError, unknown
from whet.core.language import Sentence, english, in_its_language
from whet.core.media import plural
from whet.core.output import claim, record, remove, remove_recorded, require_claimable
from whet.core.run_folder import RunFolder, write_csv
from whet.core.spec import DataSpec
from whet.core.task import VectorTask
from whet.data.audit import MEDIA
from whet.data.cells import TABLE_SUFFIXES, first_rows
from whet.data.columns import usual_column
from whet.data.read import data_path, medium_of, read_samples, read_without_labels
from whet.data.table import Table, path_from
from whet.inference import InferenceModel
from whet.labelling.scores import closeness, disagreement, k_center_greedy
from whet.run import Run
from whet.training.data_record import recorded_samples
from whet.training.notebook_progress import default_counter

KIND, TO_LABEL, LABELLED, STORY, SAMPLES = "label", "to_label.csv", "labelled.csv", "label.json", "samples"
STRATEGIES = ("margin", "disagreement", "coreset")
_SHORTLIST = 4  # times the number of samples, searched for copies of each other
_LIKELIEST, _LEFT_OUT = 3, 20


@dataclass(frozen=True)
class Proposals:
    """The samples that are worth labelling next, the first the most.

    table: rank (from 1), id, file (and for audio clips start and end) or text, guess (of the first run, a table cell), confidence
    (its probability, 0 … 1). score_N: one minus the margin, the disagreement in nats, or the distance from what is labelled.
    unlabelled: the different samples without a label among which they were chosen. labelled: samples that have a label already, in
    the run or in the table. copies: samples left out as copies of others. left_out: what is not a sample or cannot be read, each
    with the reason. page: or None."""

    table: pd.DataFrame
    score_N: np.ndarray
    by: str
    medium: str
    unlabelled: int
    labelled: int
    copies: int
    left_out: tuple[str, ...]
    page: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        counts = {key: getattr(self, key) for key in ("by", "medium", "unlabelled", "labelled", "copies")}
        return {**counts, "left_out": list(self.left_out), "samples": self.table.to_dict("records")}


@in_its_language
def label(
    data: str | Path | DataSpec,
    *,
    run: str | Path | Run | Sequence[str | Path | Run],
    count: int = 60,
    by: str = "margin",
    out: str | Path | None = None,
    force: bool = False,
    threads: int = 4,
    begin: Callable[[Sentence, int], None] | None = None,
    language: str | None = None,
) -> Proposals:
    """Choose the unlabelled samples that are worth labelling next.

    data: a folder or table of samples; those that have a label in the run (by their content), or in a label column of the table,
    do not count. run: a finished classification run, or several with the same classes. by: margin (of the probabilities, averaged
    over the runs), disagreement (between the runs, the members of an ensemble, or for images between four views), or coreset (the
    samples least like everything that is labelled or chosen, by the features of the first run; its data must still exist). Copies
    of each other, also near-copies among the best, are proposed once. out: a new or empty folder for to_label.csv and a page.

    The result does not depend on the names or the order of the samples. Raises DataError if there is nothing to label."""
    if by not in STRATEGIES:
        raise RecipeError(unknown("strategy", by, STRATEGIES))
    if count < 1:
        raise RecipeError(f"--count {count}: accepted: a number from 1")
    runs = _runs(run)
    recipe, spec = runs[0].recipe, DataSpec.of(data)
    if out is not None:
        _require_replaceable(Path(out), str(spec.path), force=force)
    begin = begin or default_counter()[0]
    begin(english("reading"), 0)
    columns = {key: getattr(recipe.data, key) for key in ("file_column", "text_column") if not getattr(spec, key)}
    spec = spec.replace(**columns)
    if (medium := medium_of(spec)) != recipe.medium:
        raise DataError(f"data {spec.path} contains {plural(medium)}; the run was trained on {plural(recipe.medium)}")
    table, left_out = read_without_labels(spec, medium, threads)
    known = _labelled_contents(spec, recipe.data, threads)
    known = known.union(*(recorded_samples(one.folder)["digest"] for one in runs))
    new = table.frame[~table.frame["digest"].isin(known)].sort_values(["digest", "id"], ignore_index=True)
    once = table.with_frame(new.drop_duplicates("digest"))
    if not len(once):
        raise DataError(f"data {spec.path}: every one of its {len(table)} {plural(medium)} has a label already")
    begin(english("predicting"), 0)
    models = [InferenceModel(one.folder) for one in runs]
    probs_MNK, errors = _predicted(models, once, runs)
    left_out += [f"{id_}: {error}" for id_, error in zip(once.frame["id"], errors) if error]
    read = np.flatnonzero([not error for error in errors])
    if not len(read):
        raise DataError(f"data {spec.path}: none of {len(once)} {plural(medium)} can be read; the first: {left_out[0]}")
    samples, probs_MNK = once.with_frame(once.frame.iloc[read]), probs_MNK[:, read]
    begin(english("choosing"), 0)
    order, score = _ranked(by, models, runs, samples, probs_MNK, _SHORTLIST * count)
    place = _without_near_copies(samples, order, threads)
    order, score = order[place][:count], score[place][:count]
    made = Proposals(
        _rows(models[0], samples, order, probs_MNK.mean(axis=0)), score, by, medium, len(samples), len(table) - len(new),
        len(new) - len(once), tuple(left_out),
    )  # fmt: skip
    if out is None:
        return made
    begin(english("writing the page"), 0)
    return _write(made, samples, order, probs_MNK.mean(axis=0)[order], runs[0], str(spec.path), Path(out))


def _runs(run: str | Path | Run | Sequence[str | Path | Run]) -> list[Run]:
    """At least one run that predicts classes."""
    given = [run] if isinstance(run, str | Path | Run) else list(run)
    runs = [one if isinstance(one, Run) else Run(RunFolder.open(one)) for one in given]
    if not runs:
        raise RecipeError("no run given; accepted: a finished run, or several with the same classes")
    for one in runs:
        if not isinstance(one.folder.task, VectorTask):
            raise RecipeError(f"run {one.path} predicts no classes of whole samples, so none can be proposed with it")
    return runs


def _labelled_contents(spec: DataSpec, own: DataSpec, threads: int) -> set[str]:
    """The contents of the rows of a table that have a label. own: the data of the run, whose columns are looked for first."""
    path = data_path(spec)
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        return set()
    columns, _ = first_rows(path)
    keys = ("label_column", "label_columns", "label_separator")
    given = {key: getattr(spec, key) or getattr(own, key) for key in keys}
    names = given["label_columns"] or [given["label_column"] or usual_column(columns, "label")]
    if not set(names) <= set(columns):
        return set()
    try:
        return set(read_samples(spec.replace(**given), threads).frame["digest"])
    except DataError:  # no row has a label
        return set()


def _predicted(models: list[InferenceModel], once: Table, runs: list[Run]) -> tuple[np.ndarray, list[str]]:
    """(probabilities of every run (M, N, K) in the class order of the first, an error or '' for each sample)."""
    found, errors = [], [""] * len(once)
    for model, run in zip(models, runs):
        if set(model.classes) != set(models[0].classes) or model.task != models[0].task:
            raise RecipeError(
                f"run {run.path} has other classes than {runs[0].path}; accepted: runs with the same classes"
            )
        probs_NK, reasons = model.probabilities(once.frame)
        found.append(probs_NK[:, [model.classes.index(name) for name in models[0].classes]])
        errors = [error or reason for error, reason in zip(errors, reasons)]
    return np.stack(found), errors


def _ranked(
    by: str, models: list[InferenceModel], runs: list[Run], samples: Table, probs_MNK: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(the rows of the best samples in descending order, their scores)."""
    exclusive = getattr(models[0].task, "exclusive", True)
    if by == "coreset":
        labelled = runs[0].own_samples()
        if not len(labelled):
            raise DataError(f"the labelled samples of {runs[0].path} are no longer there; coreset needs them")
        return k_center_greedy(models[0].features(samples.frame), models[0].features(labelled.frame), count)
    if by == "margin":
        score_N = closeness(probs_MNK.mean(axis=0), exclusive=exclusive)
    else:
        committee_MNK = probs_MNK if len(models) > 1 else models[0].committee(samples.frame)
        score_N = disagreement(committee_MNK, exclusive=exclusive)
    order = np.argsort(-score_N, kind="stable")[:count]
    return order, score_N[order]


def _without_near_copies(samples: Table, order: np.ndarray, threads: int) -> np.ndarray:
    """The positions of a ranking without samples that are near-copies of an earlier one."""
    survey = MEDIA[samples.medium].look(samples.with_frame(samples.frame.iloc[order]), threads, lambda count: None)
    return np.sort(np.unique(survey.unit_N, return_index=True)[1])


def _rows(model: InferenceModel, samples: Table, order: np.ndarray, probs_NK: np.ndarray) -> pd.DataFrame:
    content = {"text": ["text"], "image": ["path"], "audio": ["path", "start", "end"]}[samples.medium]
    chosen = samples.frame.iloc[order].reset_index(drop=True)[["id", *content]].rename(columns={"path": "file"})
    predictions = [model.prediction(probs_K) for probs_K in probs_NK[order]]
    chosen.insert(0, "rank", np.arange(1, len(chosen) + 1))
    return chosen.assign(
        guess=pd.Series([name for name, _ in predictions], dtype=object), confidence=[sure for _, sure in predictions]
    )


def _require_replaceable(folder: Path, data: str, *, force: bool) -> None:
    """Raise OutputError where the proposals cannot be written, or would replace labels that were filled in."""
    require_claimable(folder, KIND, data=[data])
    if (folder / TO_LABEL).is_file():
        columns, rows = first_rows(folder / TO_LABEL, 10**9)
        if "label" in columns and any(row[columns.index("label")].strip() for row in rows):
            raise OutputError(f"{folder / TO_LABEL} holds labels, which are never overwritten; choose another --out")
    if (folder / STORY).exists() and not force:
        raise OutputError(
            f"{folder} already contains samples to label; choose another --out, or use --force to overwrite them"
        )


def _write(
    made: Proposals, samples: Table, order: np.ndarray, probs_MK: np.ndarray, run: Run, data: str, folder: Path
) -> Proposals:
    from whet.core import strict_json
    from whet.core.labels import labels_cell
    from whet.report import build_to_label
    from whet.training.sample_files import write_row

    claim(folder, KIND, data=[data])
    remove_recorded(folder)
    remove(folder / LABELLED)
    (folder / SAMPLES).mkdir(exist_ok=True)
    rows, shown = [], []
    for row, probs_K, plain in zip(order.tolist(), probs_MK, made.table.to_dict("records")):
        guess = plain["guess"] if isinstance(plain["guess"], str) else labels_cell(plain["guess"])
        cells = {**plain, "guess": guess, "confidence": f"{plain['confidence']:.4f}"}
        if "file" in cells:
            cells["file"] = path_from(folder, cells["file"])
        rows.append(["" if value != value else value for value in cells.values()] + [""])
        stem = str(plain["rank"])
        record(folder, *(f"{SAMPLES}/{stem}.{suffix}" for suffix in ("jpg", "ogg")))
        content = write_row(samples.frame.iloc[row], samples.medium, folder / SAMPLES, stem, 1) or {}
        likeliest = sorted(zip(run.classes, probs_K.tolist()), key=lambda pair: -pair[1])[:_LIKELIEST]
        shown.append({"rank": plain["rank"], "id": plain["id"], "guess": guess, "likeliest": likeliest, **content})
    write_csv(folder / TO_LABEL, [*made.table, "label"], rows, exact=True)
    story = {
        "name": Path(data).resolve().name, "run": str(run.path.resolve()), "run_name": run.folder.name,
        "classes": list(run.classes), **made.to_dict(), "samples": shown,
        "left_out": {"count": len(made.left_out), "first": list(made.left_out[:_LEFT_OUT])},
    }  # fmt: skip
    strict_json.write(folder / STORY, story)
    return replace(made, page=build_to_label(folder))
