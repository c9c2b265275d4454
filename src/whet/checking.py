"""The data check: read every sample once, run the checks, test for shortcuts, find likely label errors with a first model, and
write the report and the cleaned table. The data are not changed."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whet.core import strict_json
from whet.core.errors import OutputError
from whet.core.language import Sentence, english, in_its_language, named
from whet.core.output import claim, remove, require_claimable
from whet.core.spec import DataSpec
from whet.data.audit import (
    MEDIA,
    Cleaned,
    Finding,
    Probe,
    Survey,
    audit_survey,
    by_gravity,
    check_labels,
    check_shortcuts,
    clean,
    look,
    probe_shortcuts,
    write_cleaned,
)
from whet.data.audit.first_model import linear_probs
from whet.data.audit.foreign import check_foreign, measure_foreign
from whet.data.audit.unlabelled import Copies, check_copies, joined
from whet.data.read import read_data
from whet.data.split import deal_complete_folds
from whet.data.table import SPLITS, UNLABELLED
from whet.training.notebook_progress import default_counter

FOLDS = 5
_STORY = "check.json"
_NOT_SEARCHED = {
    "classes": english("shortcuts and likely label errors are searched only if every sample has exactly one class"),
    "masks": english(
        "likely mask errors are searched with pretrained weights (--weights); the report of a run shows its worst images"
    ),
}
_MOST_PROBABILITIES = 20_000_000  # samples times classes of the first model; 8 bytes each, with several copies
_SHOWN, _SHOWN_OF_SUSPECTS, _TOGETHER = 12, 36, 4  # groups on the page, suspects, samples per group


@dataclass(frozen=True, repr=False)
class Check:
    """The result of a check. findings: in descending order of severity. probes: the accuracy of each shortcut. cleaned: the kept
    and excluded samples. page: the path of the report, or None."""

    survey: Survey
    findings: list[Finding]
    probes: list[Probe]
    cleaned: Cleaned
    page: Path | None = None

    @property
    def problems(self) -> int:
        return sum(finding.severity == "problem" for finding in self.findings)

    def __repr__(self) -> str:
        return f"Check({len(self.survey.table)} samples, {self.problems} problems, {len(self.findings)} findings)"

    def _repr_html_(self) -> str:
        from whet.report.cards import of_check

        return of_check(self.findings, len(self.cleaned.rows), len(self.cleaned.dropped), self.page)

    def to_dict(self) -> dict[str, Any]:
        table = self.survey.table
        return {
            "samples": len(table),
            "labels": table.label_kind,
            "counts": {part: dict(zip(table.classes, table.part(part).counts_K.tolist())) for part in SPLITS},
            "problems": self.problems,
            "findings": [finding.to_dict() for finding in self.findings],
            "probes": [probe.to_dict() for probe in self.probes],
            "cleaned": {"kept": len(self.cleaned.rows), "dropped": [vars(entry) for entry in self.cleaned.dropped]},
        }


@in_its_language
def check(
    data: str | Path | DataSpec,
    *,
    weights: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
    threads: int = 4,
    begin: Callable[[Sentence, int], None] | None = None,
    advance: Callable[[int], None] | None = None,
    language: str | None = None,
) -> Check:
    """Check a data set before training.

    weights: pretrained weights for the first model, which finds likely errors in labels or masks (a local folder or a hub name); by
    default the model of labels uses handcrafted features, and masks are not searched. out: a new or empty folder for report.html,
    check.json, cleaned.csv and dropped.csv. force: overwrite an earlier check in `out`. begin: called with the name of each phase
    and its number of steps (0 if unknown). advance: called with the number of finished steps. language: of the report, see
    `whet.train`.
    """
    spec = DataSpec.of(data)
    if out is not None:
        require_claimable(out, "check", data=[str(spec.path)])
        if (Path(out) / _STORY).exists() and not force:
            raise OutputError(f"{out} already contains a check; choose another --out, or use --force to overwrite it")
    usual_begin, usual_advance = default_counter()
    begin, advance = begin or usual_begin, advance or usual_advance
    begin(english("reading"), 0)
    table = read_data(spec, threads, usable=False)
    begin(MEDIA[table.medium].looking, len(table))
    survey = look(table, threads, advance)
    begin(english("searching for near-duplicates"), 0)
    findings = audit_survey(survey)
    probes: list[Probe] = []
    if table.label_kind == "masks" and weights is not None:
        from whet.mask_errors import find_mask_errors

        begin(english("training a first model"), 0)
        findings += find_mask_errors(survey, spec, weights, threads)
    elif table.label_kind != "class":
        findings.append(Finding(english("not searched"), "fact", _NOT_SEARCHED[table.label_kind]))
    else:
        begin(english("training a first model"), 0)
        row_R, probs_RK, how = _first_model(survey, spec, weights, threads)
        if len(row_R):
            findings += check_labels(survey, row_R, probs_RK, how)
        findings += _not_predicted(survey, row_R)
        begin(english("testing shortcuts"), 0)
        probes = probe_shortcuts(
            survey, *([float((probs_RK.argmax(axis=1) == survey.label_N[row_R]).mean())] if len(row_R) else [])
        )
        findings += check_shortcuts(probes)
    if table.unlabelled is not None:
        begin(english("measuring the unlabelled samples"), 0)
        findings += _unlabelled(survey, spec, weights, threads)
    found = Check(survey, by_gravity(findings), probes, clean(survey))
    if out is None:
        return found
    begin(english("writing the page"), 0)
    page = write_check(found, str(spec.path), Path(out))
    return Check(found.survey, found.findings, found.probes, found.cleaned, page)


def _unlabelled(survey: Survey, spec: DataSpec, weights: str | None, threads: int) -> list[Finding]:
    """Copies of labelled samples among the unlabelled ones, and how many are far from every class."""
    table, more = survey.table, survey.table.part(UNLABELLED)
    every = look(joined(table, more.frame), threads)
    rows = every.row_R
    if weights is None:
        medium = MEDIA[table.medium]
        features, how = medium.vectors(every, rows), medium.features
    else:
        found, rows = _frozen_features(every, rows, spec, weights, threads)
        features, how = found.numpy(), english("features of {weights}", weights=Path(weights).name)
    own_R = rows < len(table)
    label_N = table.label_N if table.label_kind == "class" else np.zeros(len(table), dtype=np.int64)
    ids = more.frame["id"].to_numpy()[rows[~own_R] - len(table)].tolist()
    foreign = measure_foreign(features[own_R], label_N[rows[own_R]], features[~own_R])
    return [*check_copies(table.copies or Copies(), survey), *check_foreign(foreign, ids, table.medium, how)]


def _first_model(
    survey: Survey, spec: DataSpec, weights: str | None, threads: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """(predicted rows (R,), their class probabilities (R, K), a description of the model). The model is linear on fixed features
    and predicts out of fold; duplicates are in the same fold. All splits are used, including test, because only the list of
    likely label errors is kept. Classes with too few different samples are excluded."""
    classes, medium = len(survey.table.classes), MEDIA[survey.table.medium]
    rows, fold_R = _predictable(survey, survey.row_R)
    if not len(rows):
        return rows, np.empty((0, classes)), ""
    if weights is None:
        return (
            rows,
            medium.first_model(survey, rows, fold_R),
            english("linear, on {features!t}", features=medium.features),
        )
    features_RD, rendered = _frozen_features(survey, rows, spec, weights, threads)
    rows, fold_R = _predictable(survey, rendered)
    features_RD = features_RD[np.isin(rendered, rows)]
    return (
        rows,
        linear_probs(features_RD, survey.label_N[rows], classes, fold_R),
        english("linear, on features of {weights}", weights=Path(weights).name),
    )


def _predictable(survey: Survey, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that a first model can predict out of fold, and their folds."""
    counts_K = np.bincount(survey.label_N[rows], minlength=len(survey.table.classes))
    rows = rows[counts_K[survey.label_N[rows]] >= 2 * FOLDS]
    if len(rows) * len(counts_K) > _MOST_PROBABILITIES:
        return rows[:0], rows[:0]
    kept, fold_R = deal_complete_folds(survey.label_N[rows], survey.unit_N[rows], FOLDS)
    return rows[kept], fold_R


def _not_predicted(survey: Survey, row_R: np.ndarray) -> list[Finding]:
    """The classes that were not searched for label errors."""
    there = np.bincount(survey.label_N[survey.row_R], minlength=len(survey.table.classes))
    predicted = np.bincount(survey.label_N[row_R], minlength=len(survey.table.classes))
    names = [f"{survey.table.classes[k]} ({there[k]})" for k in np.flatnonzero((there > 0) & (predicted == 0))]
    if not names:
        return []
    why = english("too few different samples for out-of-fold predictions")
    if len(survey.row_R) * len(there) > _MOST_PROBABILITIES:
        why = english("more than {n:,} probabilities, samples times classes", n=_MOST_PROBABILITIES)
    text = english("not searched for label errors, {why!t}: {names!n}", why=why, names=named(names, _SHOWN))
    return [Finding(english("not searched"), "fact", text)]


def _frozen_features(
    survey: Survey, rows: np.ndarray, spec: DataSpec, weights: str, threads: int
) -> tuple[Any, np.ndarray]:
    """(features of the pretrained backbone, float32 (R, D), the rows that could be rendered)."""
    from whet.frozen import frozen_features, frozen_net

    chosen = survey.table.with_frame(survey.table.frame.iloc[rows])
    features_RD, rendered_R = frozen_features(frozen_net(chosen, spec, weights, threads), chosen, threads)
    return features_RD, rows[rendered_R]


def write_check(found: Check, data: str | Path, folder: Path) -> Path:
    """Write cleaned.csv, dropped.csv, check.json, report.html and a folder of the samples on the page, replacing those of an
    earlier check. Returns the path of the page."""
    from whet.report import build_check

    claim(folder, "check", data=[data])
    if (folder / _STORY).is_file():
        _remove_shown(folder)
    write_cleaned(found.survey, found.cleaned, folder)
    samples = folder / f"{found.survey.table.medium}s"
    samples.mkdir(exist_ok=True)
    story = {"name": Path(data).resolve().name, "medium": found.survey.table.medium, **found.to_dict()}
    written: dict[int, dict[str, str]] = {}
    row_of = {id_: row for row, id_ in enumerate(found.survey.id_N)}
    for finding, plain in zip(found.findings, story["findings"]):
        most = _SHOWN_OF_SUSPECTS if finding.kind in ("suspected labels", "suspected masks") else _SHOWN
        plain["shown"] = [[_shown(found.survey, row_of.get(id_), id_, samples, written) for id_ in group[:_TOGETHER]]
                          for group in finding.groups[:most]]  # fmt: skip
    strict_json.write(folder / _STORY, story)
    return build_check(folder)


def _remove_shown(folder: Path) -> None:
    """Delete the samples that an earlier check in this folder wrote for its page."""
    story = json.loads((folder / _STORY).read_text(encoding="utf-8"))
    shown = [sample for finding in story["findings"] for group in finding["shown"] for sample in group]
    names = {sample[key] for sample in shown for key in ("image", "audio") if key in sample}
    if names:  # without names, the folder itself would be meant
        remove(folder / f"{story['medium']}s", *map(glob.escape, sorted(names)))


def _shown(
    survey: Survey, row: int | None, id_: str, folder: Path, written: dict[int, dict[str, str]]
) -> dict[str, str]:
    """A sample on the page: its id, class, split and content (see `sample_files.write_sample`); no content if it cannot be read."""
    from whet.training.sample_files import write_row

    if row is None:
        return {"id": id_, "label": "", "split": ""}
    if row not in written and not survey.reason_N[row]:
        sample, table = survey.table.frame.iloc[row], survey.table
        written[row] = write_row(sample, table.medium, folder, str(len(written)), len(table.classes)) or {}
    label, split = survey.table.text_of(survey.label_N[row]), str(survey.split_N[row])
    return {"id": id_, "label": label, "split": split, **written.get(row, {})}
