"""Groups of related images across splits: frames of a film, images of one object, crops of one image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath

import numpy as np
from scipy.stats import mannwhitneyu

from whet.core.language import english, english_n
from whet.core.rng import Rng
from whet.data.audit.finding import Finding, noted
from whet.data.audit.near import grey, hashes
from whet.data.audit.survey import ImageSurvey, Survey
from whet.data.table import SPLITS

BURST = 10  # maximum seconds between two images of one burst
LARGEST, FEWEST = 0.05, 5  # maximum share of all images in one group; minimum number of groups
RARE, ALIKE = (
    0.001,
    0.7,
)  # p-value; share of comparisons in which a pair of a group is more similar than another pair of its class
_COUNTED = re.compile(r"^(.+?)[ _\-.]*\(\d+\)$")  # "bottle (2)"
_COPY = re.compile(r"^(.+?)[ _\-]+(?:copy|kopie|副本)(?:[ _\-]*\d+)?$", re.IGNORECASE)
_LETTER = re.compile(r"^(.*\d)[a-z]$", re.IGNORECASE)  # "scan017b"
_LAST = re.compile(r"^(.+)[ _\-.]+[^ _\-.]+$")  # "img_001_a", "clip3_frame_0007"


def check_groups(survey: ImageSurvey) -> list[Finding]:
    """Groups by the table's group column, by shared names, and by bursts (one camera, at most 10 seconds apart). A group of the
    column in two splits is always a warning. Names and bursts are reported only where they are informative: pairs of a group
    across splits must be more similar than random pairs of their class (correlation of thumbnails; Mann-Whitney, p < 0.001, and in
    over 70 % of comparisons). Plain numbering (glass1 … glass501) therefore gives no warning."""
    found = check_group_column(survey)
    for kind, keys in (
        (english("shared name across splits"), name_keys(survey)),
        (english("burst across splits"), burst_keys(survey)),
    ):
        groups = _across(survey, keys)
        if not groups:
            continue
        evidence = more_alike(survey, groups)
        if evidence is None:
            continue
        share, p = evidence
        what = (
            english("share a name except for its end")
            if kind.startswith("shared name")
            else english("were taken within {n} seconds by one camera", n=BURST)
        )
        text = english(
            "{n:,} groups of images that {what!t} lie in more than one of train, val and test, and they are more similar than "
            "random pairs of their class in {share:.0f} % of comparisons (p = {p:.1g}): the score may be too high; split by group",
            n=len(groups), what=what, share=100 * share, p=p,
        )  # fmt: skip
        found.append(noted(kind, "warning", text, _entries(survey, groups)))
    return found


def check_group_column(survey: Survey) -> list[Finding]:
    """Groups of the table's group column that are in more than one split."""
    groups = _across(survey, survey.table.frame["group"].tolist())
    if not groups:
        return []
    text = english_n(
        "{n} group of the table lies in more than one of train, val and test",
        "{n:,} groups of the table lie in more than one of train, val and test",
        len(groups),
    )
    return [noted(english("group across splits"), "warning", text, _entries(survey, groups))]


def _entries(survey: Survey, groups: list[list[int]]) -> list[tuple[tuple[str, ...], str]]:
    return [
        (tuple(survey.id_N[row] for row in rows), ", ".join(f"{survey.split_N[row]}" for row in rows))
        for rows in groups
    ]


def name_keys(survey: ImageSurvey) -> list[str]:
    """The shared part of each name: its class, and the name without its last part. "" where there is none."""
    found = []
    for name, label in zip(survey.id_N, survey.label_N):
        stem = PurePosixPath(name).stem
        match = next((m for rule in (_COUNTED, _COPY, _LETTER, _LAST) if (m := rule.match(stem))), None)
        # "bottle" belongs to the same group as "bottle (2)"
        found.append(f"{label}/{match[1] if match else stem}")
    counts: dict[str, int] = {}
    for key in found:
        counts[key] = counts.get(key, 0) + 1
    most = max(2, LARGEST * len(found))
    return [key if 1 < counts[key] <= most else "" for key in found]


def burst_keys(survey: ImageSurvey) -> list[str]:
    """A number for each burst; "" where a file has no camera or time."""
    shots = []
    for row in survey.row_R:
        camera, taken = (survey.prints_N[name][row].decode() for name in ("camera", "taken"))
        try:
            shots.append((camera, datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").timestamp(), int(row)))
        except ValueError:
            continue
    keys, number, before = [""] * len(survey.id_N), 0, ("", 0.0)
    for camera, time, row in sorted(shots):
        if camera != before[0] or time - before[1] > BURST:
            number += 1
        keys[row], before = str(number), (camera, time)
    return keys


def _across(survey: Survey, keys: Iterable[str]) -> list[list[int]]:
    """The groups whose readable rows are in more than one split. Duplicates of one image are counted once."""
    members: dict[str, list[int]] = {}
    readable = set(survey.row_R.tolist())
    for row, key in enumerate(keys):
        if key and row in readable:
            members.setdefault(key, []).append(row)
    found = []
    for rows in members.values():
        apart = list({survey.unit_N[row]: row for row in rows}.values())
        if len({survey.split_N[row] for row in apart} & set(SPLITS)) > 1:
            found.append(sorted(apart, key=lambda row: survey.id_N[row]))
    return found


def more_alike(survey: ImageSurvey, groups: list[list[int]]) -> tuple[float, float] | None:
    """(how often a pair of a group, one from each split, is more similar than a random pair of its class; p-value), or None where
    the evidence is insufficient."""
    if len(groups) < FEWEST:
        return None
    hash_ND = survey.of_thumbs(np.arange(len(survey.id_N)), lambda thumb: hashes(grey(thumb)).reshape(len(thumb), -1))
    inside, outside = [], []
    for number, rows in enumerate(groups):
        one = rows[0]
        other = next(row for row in rows if survey.split_N[row] != survey.split_N[one])
        kin = np.flatnonzero((survey.label_N == survey.label_N[one]) & (survey.prints_N["reason"] == b""))
        kin = kin[~np.isin(kin, rows)]
        if not len(kin):
            continue
        drawn = kin[(Rng(0).batch("pairs", 0, [number]).uniform(shape=(8,))[0] * len(kin)).astype(int)]
        inside.append(float(hash_ND[one] @ hash_ND[other]))
        outside += (hash_ND[drawn] @ hash_ND[one]).tolist()
    if len(inside) < FEWEST:
        return None
    test = mannwhitneyu(inside, outside, alternative="greater")
    share = float(test.statistic / (len(inside) * len(outside)))
    return (share, float(test.pvalue)) if test.pvalue < RARE and share >= ALIKE else None
