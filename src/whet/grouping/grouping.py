"""Groups of unlabelled samples: reading, features, groups, and the files that show them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whet.core.errors import DataError, RecipeError
from whet.core.language import Sentence, english, in_its_language
from whet.core.media import plural
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.table import Table
from whet.evaluate.reduce import reduced
from whet.grouping.choice import COUNTS, Candidate, candidates, chosen, looked_at, silhouette
from whet.grouping.cluster import Clusters, clusters, hdbscan, partitions, require_algorithm
from whet.grouping.features import describe
from whet.grouping.files import require_replaceable, write_grouping
from whet.grouping.result import Grouping
from whet.training.notebook_progress import default_counter


@in_its_language
def group(
    data: str | Path | DataSpec,
    *,
    out: str | Path | None = None,
    groups: int | None = None,
    algorithm: str = "kmeans",
    weights: str | None = None,
    architecture: str | None = None,
    image_size: str | None = None,
    seed: int = 0,
    force: bool = False,
    threads: int = 4,
    begin: Callable[[Sentence, int], None] | None = None,
    advance: Callable[[int], None] | None = None,
    language: str | None = None,
) -> Grouping:
    """Group samples without labels by the features of a frozen network.

    data: a folder or a table of images, texts or audio clips; labels and class folders do not matter. groups: their number; by
    default chosen by silhouette and stability (see `grouping.choice`). algorithm: kmeans, ward, or hdbscan, which finds the number
    itself and calls samples noise. weights and architecture: as in `train`; without pretrained weights the features are simple.
    out: a new or empty folder for groups.csv, names.yaml and the contact sheet report.html. force: replaces an earlier grouping,
    unless names were filled in. language: of the page.

    The result depends on the contents of the samples alone, not on their names or order. Raises DataError where there are fewer
    different samples than groups, RecipeError for settings that cannot be used, WeightsError, OutputError."""
    from whet import recipes
    from whet.data.read import medium_of, read_without_labels

    require_algorithm(algorithm, groups)
    if groups is not None and groups < 1:
        raise RecipeError(f"--groups {groups}: accepted: a number from 1")
    spec = DataSpec.of(data)
    if out is not None:
        require_replaceable(Path(out), str(spec.path), force=force)
    usual_begin, usual_advance = default_counter()
    begin, advance = begin or usual_begin, advance or usual_advance
    begin(english("reading"), 0)
    medium = medium_of(spec)
    table, left_out = read_without_labels(spec, medium, threads)
    model = ModelSpec(weights=weights or "auto", architecture=architecture or "auto")
    recipe = Recipe(task=f"{medium}-classification", data=spec, model=model).setting(seed=seed)
    recipe = recipes.with_options(recipe, image_size=image_size)
    # One row per content, in the order of the contents: names, copies and the order of the files change nothing.
    ordered = table.frame.sort_values(["digest", "id"], ignore_index=True)
    once = table.with_frame(ordered.drop_duplicates("digest"))
    begin(english("computing features"), len(once))
    described = describe(once, recipe, threads, advance)
    left_out += _unread(table, once, described.failed)
    if not len(described.row_R):
        raise DataError(
            f"data {spec.path}: none of the {len(table)} {plural(medium)} can be read; the first: {left_out[0]}"
        )
    begin(english("grouping"), 0)
    found, compared, space_RD, width = _grouped(described.features_RD, algorithm, groups, seed, spec)
    samples = once.with_frame(once.frame.iloc[described.row_R])
    made = Grouping(
        _rows(table, samples, found), int(table.frame["digest"].isin(samples.frame["digest"]).sum()) - len(samples),
        algorithm, described.name, described.simple, tuple(compared), width, tuple(left_out), medium,
    )  # fmt: skip
    if out is None:
        return made
    begin(english("writing the page"), 0)
    return write_grouping(made, samples, found, space_RD, str(spec.path), Path(out))


def _grouped(
    features_RD: Any, algorithm: str, groups: int | None, seed: int, spec: DataSpec
) -> tuple[Clusters, list[Candidate], np.ndarray, float]:
    """(the groups, the compared numbers of groups, the space of the samples, the mean silhouette)."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the order of sums, and with it the last digits, depends on the threads
        space_RD = reduced(features_RD, Rng(seed).integer("group components") % 2**32)
        found, compared = _groups(space_RD, algorithm, groups, seed, spec)
        shown_R = looked_at(space_RD, seed)
        return found, compared, space_RD, silhouette(space_RD[shown_R], found.label_N[shown_R])


def _unread(table: Table, once: Table, failed: dict[int, str]) -> list[str]:
    """The samples whose content cannot be read, each with the reason."""
    reasons = {once.frame["digest"].iloc[row]: reason for row, reason in failed.items()}
    return [
        f"{id_}: {reasons[digest]}"
        for id_, digest in zip(table.frame["id"], table.frame["digest"])
        if digest in reasons
    ]


def _groups(
    space_RD: np.ndarray, algorithm: str, groups: int | None, seed: int, spec: DataSpec
) -> tuple[Clusters, list[Candidate]]:
    """The groups, and the numbers of groups that were compared."""
    different, draws = len(np.unique(space_RD, axis=0)), Rng(seed).integer("groups") % 2**32
    if groups is not None and groups > different:
        raise DataError(
            f"--groups {groups}: data {spec.path} holds {different} samples with different features; accepted: 1 to {different}"
        )
    if algorithm == "hdbscan":
        return clusters(hdbscan(space_RD, seed), space_RD), []
    compared: list[Candidate] = []
    if groups is None:
        counts = [count for count in COUNTS if count < different]
        compared = candidates(algorithm, space_RD, counts, seed)
        groups = chosen(compared)
    return clusters(partitions(algorithm, space_RD, [groups], draws)[0], space_RD), compared


def _rows(table: Table, samples: Table, found: Clusters) -> pd.DataFrame:
    """The table of a Grouping, sorted by id; copies share the row of their content."""
    place = {digest: row for row, digest in enumerate(samples.frame["digest"])}
    frame = table.frame[table.frame["digest"].isin(place.keys())].sort_values("id", ignore_index=True)
    row_N = frame["digest"].map(place).to_numpy(np.int64)
    content = {"text": ["text"], "image": ["path"], "audio": ["path", "start", "end"]}[table.medium]
    return (
        frame[["id", *content]]
        .rename(columns={"path": "file"})
        .assign(group=found.label_N[row_N] + 1, distance=found.distance_N[row_N], unsure=found.unsure_N[row_N])
    )
