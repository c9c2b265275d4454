"""File contents that a network does not receive: further frames, and pixels outside the supported range."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, noted
from whet.data.audit.survey import ImageSurvey

_MUCH = 0.01  # share of an image's pixels


def check_unseen(survey: ImageSurvey) -> list[Finding]:
    """Images of several frames or pages, of which only the first is read. In floating-point and 32-bit images, pixels outside the
    supported range (a problem where they are more than 1 % of an image), and non-finite pixels. The rules are those of
    `data.image`."""
    rows, found = survey.row_R, []
    frames = survey.of_readable("frames").astype(np.int64)
    several = np.flatnonzero(frames > 1)
    if len(several):
        entries = [((survey.id_N[rows[k]],), f"{frames[k]:,} frames") for k in several]
        text = (
            f"{len(several):,} of {len(rows):,} images hold several frames or pages; only the first is read: "
            f"{frames[several].sum() - len(several):,} are ignored"
        )
        found.append(noted("several frames", "warning", text, entries))
    for kind, field, what in (
        ("out of range", "outside", "hold values that are clipped: floating-point images are read as 0 to 1, 32-bit images as 0 to "
         "65,535; scale them, and save them with 8 or 16 bits"),
        ("not finite", "not_finite", "hold non-finite pixels (NaN or infinite), which are read as black"),

    ):  # fmt: skip
        share = survey.of_readable(field)
        bad = np.flatnonzero(share > 0)
        if len(bad):
            much = kind == "out of range" and bool((share[bad] > _MUCH).any())
            entries = [((survey.id_N[rows[k]],), f"{100 * share[k]:.2g} % of its pixels") for k in bad]
            text = f"{len(bad):,} of {len(rows):,} images {what}"
            found.append(noted(kind, "problem" if much else "warning", text, entries))
    return found
