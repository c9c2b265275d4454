"""The origin of images according to their files: camera, format, orientation flag."""

from __future__ import annotations

from collections import Counter

from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.survey import ImageSurvey


def check_origin(survey: ImageSurvey) -> list[Finding]:
    """Orientation flags (applied on reading here; other tools may ignore them), and cameras or file formats specific to one
    class."""
    orientation_R = survey.of_readable("orientation")
    turned = [
        ((survey.id_N[row],), f"EXIF orientation {turn}")
        for row, turn in zip(survey.row_R, orientation_R, strict=True)
        if turn != 1
    ]
    found = []
    if turned:
        text = (
            f"{counted(len(turned), 'image')} stored rotated, with an EXIF flag that whet applies but some tools ignore"
        )
        found.append(noted("orientation flag", "fact", text, turned))
    cameras = [camera.decode() for camera in survey.of_readable("camera").tolist()]
    formats = [name.decode() for name in survey.of_readable("format").tolist()]
    kinds = Counter(formats)
    if len(kinds) > 1:
        text = "several file formats: " + ", ".join(f"{count:,} {name}" for name, count in kinds.most_common())
        found.append(Finding("mixed formats", "fact", text))
    return (
        found
        + find_shortcuts(survey, cameras, "camera", "from the camera")
        + find_shortcuts(survey, formats, "file format", "stored as")
    )
