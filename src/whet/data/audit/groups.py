"""Images that belong together by name or time, on both sides of a split: frames of a film, shots of one thing, crops of one
photo."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath

import numpy as np
from scipy.stats import mannwhitneyu

from whet.core.rng import Rng
from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.near import grey, hashes
from whet.data.audit.survey import ImageSurvey, Survey
from whet.data.table import SPLITS

BURST = 10  # seconds between two shots of one burst
LARGEST, FEWEST = 0.05, 5  # a group of more than this share of all says nothing; fewer groups are no evidence
RARE, ALIKE = 0.001, 0.7  # p-value, and how often a pair of a group is more alike than another pair of its class
_COUNTED = re.compile(r"^(.+?)[ _\-.]*\(\d+\)$")  # "bottle (2)"
_COPY = re.compile(r"^(.+?)[ _\-]+(?:copy|kopie|副本)(?:[ _\-]*\d+)?$", re.IGNORECASE)
_LETTER = re.compile(r"^(.*\d)[a-z]$", re.IGNORECASE)  # "scan017b"
_LAST = re.compile(r"^(.+)[ _\-.]+[^ _\-.]+$")  # "img_001_a", "clip3_frame_0007"


def check_groups(survey: ImageSurvey) -> list[Finding]:
    """Groups by the table's own group column, by what names share, and by bursts (one camera, at most 10 seconds apart). A group of
    the column that lies in two parts is a warning as it is. Of names and bursts only where it is measured that they mean
    something: pairs of a group on two sides of the split must be more alike than random pairs of their class (small images'
    correlation; Mann-Whitney, p < 0.001, and in over 70 % of comparisons). So plain numbers (glass1 … glass501) are no alarm."""
    found = check_group_column(survey)
    for kind, keys in (("shared name", name_keys(survey)), ("burst", burst_keys(survey))):
        groups = _across(survey, keys)
        if not groups:
            continue
        evidence = more_alike(survey, groups)
        if evidence is None:
            continue
        share, p = evidence
        what = (
            "share a name but for its end"
            if kind == "shared name"
            else f"were taken within {BURST} seconds by one camera"
        )
        text = (
            f"{len(groups):,} groups of images that {what} lie in more than one of train, val and test, and they are more "
            f"alike than random pairs of their class in {100 * share:.0f} % of comparisons (p = {p:.1g}): the score may be too "
            "good; split by group"
        )
        found.append(noted(f"{kind} across splits", "warning", text, _entries(survey, groups)))
    return found


def check_group_column(survey: Survey) -> list[Finding]:
    """Groups by the table's own group column that lie in two parts."""
    groups = _across(survey, survey.table.frame["group"].tolist())
    if not groups:
        return []
    verbs = ("of the table lies", "of the table lie")
    text = f"{counted(len(groups), 'group', verbs)} in more than one of train, val and test"
    return [noted("group across splits", "warning", text, _entries(survey, groups))]


def _entries(survey: Survey, groups: list[list[int]]) -> list[tuple[tuple[str, ...], str]]:
    return [
        (tuple(survey.id_N[row] for row in rows), ", ".join(f"{survey.split_N[row]}" for row in rows))
        for rows in groups
    ]


def name_keys(survey: ImageSurvey) -> list[str]:
    """What each name shares with its kin: its class, and the name without its last part. "" where there is none."""
    found = []
    for name, label in zip(survey.id_N, survey.label_N):
        stem = PurePosixPath(name).stem
        match = next((m for rule in (_COUNTED, _COPY, _LETTER, _LAST) if (m := rule.match(stem))), None)
        # "bottle" of "bottle (2)" is itself one of the group
        found.append(f"{label}/{match[1] if match else stem}")
    counts: dict[str, int] = {}
    for key in found:
        counts[key] = counts.get(key, 0) + 1
    most = max(2, LARGEST * len(found))
    return [key if 1 < counts[key] <= most else "" for key in found]


def burst_keys(survey: ImageSurvey) -> list[str]:
    """A number for each burst of shots; "" where a file does not say when and by what it was taken."""
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
    """The groups whose readable rows lie in more than one part, those of one photo (found as duplicates already) counted once."""
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
    """(how often a pair of a group, one from each side, is more alike than a random pair of its class; p-value), or None where
    that is no evidence."""
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
