"""The origin of images according to their files: camera, format, orientation flag."""

from __future__ import annotations

from collections import Counter

from whet.core.language import english, english_n
from whet.data.audit.dependence import find_shortcuts, stored_as
from whet.data.audit.finding import Finding, noted
from whet.data.audit.survey import ImageSurvey


def check_origin(survey: ImageSurvey) -> list[Finding]:
    """Orientation flags (applied on reading here; other tools may ignore them), and cameras or file formats specific to one
    class."""
    orientation_R = survey.of_readable("orientation")
    turned = [
        ((survey.id_N[row],), english("EXIF orientation {turn}", turn=turn))
        for row, turn in zip(survey.row_R, orientation_R, strict=True)
        if turn != 1
    ]
    found = []
    if turned:
        text = english_n(
            "{n} image is stored rotated, with an EXIF flag that whet applies but some tools ignore",
            "{n:,} images are stored rotated, with an EXIF flag that whet applies but some tools ignore",
            len(turned),
        )
        found.append(noted(english("orientation flag"), "fact", text, turned))
    cameras = [camera.decode() for camera in survey.of_readable("camera").tolist()]
    formats = [name.decode() for name in survey.of_readable("format").tolist()]
    kinds = Counter(formats)
    if len(kinds) > 1:
        listed = ", ".join(f"{count:,} {name}" for name, count in kinds.most_common())
        found.append(
            Finding(english("mixed formats"), "fact", english("several file formats: {formats}", formats=listed))
        )
    return (
        found
        + find_shortcuts(
            survey,
            cameras,
            english("camera predicts the class"),
            lambda camera: english("from the camera {camera}", camera=camera),
        )
        + find_shortcuts(survey, formats, english("file format predicts the class"), stored_as)
    )
