"""File contents that a network does not receive: further frames, and pixels outside the supported range."""

from __future__ import annotations

import numpy as np

from whet.core.language import english
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
        entries = [((survey.id_N[rows[k]],), english("{n:,} frames", n=frames[k])) for k in several]
        text = english(
            "{n:,} of {total:,} images hold several frames or pages; only the first is read: {ignored:,} are ignored",
            n=len(several), total=len(rows), ignored=frames[several].sum() - len(several),
        )  # fmt: skip
        found.append(noted(english("several frames"), "warning", text, entries))
    for kind, field, what in (
        (english("out of range"), "outside", english("hold values that are clipped: floating-point images are read as 0 to 1, "
         "32-bit images as 0 to 65,535; scale them, and save them with 8 or 16 bits")),
        (english("not finite"), "not_finite", english("hold non-finite pixels (NaN or infinite), which are read as black")),
    ):  # fmt: skip
        share = survey.of_readable(field)
        bad = np.flatnonzero(share > 0)
        if len(bad):
            much = kind == "out of range" and bool((share[bad] > _MUCH).any())
            entries = [
                ((survey.id_N[rows[k]],), english("{share:.2g} % of its pixels", share=100 * share[k])) for k in bad
            ]
            text = english("{n:,} of {total:,} images {what!t}", n=len(bad), total=len(rows), what=what)
            found.append(noted(kind, "problem" if much else "warning", text, entries))
    return found
