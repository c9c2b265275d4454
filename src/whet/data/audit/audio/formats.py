"""Unusual rates, channels and formats, and those specific to one class."""

from __future__ import annotations

from collections import Counter

from whet.core.language import Sentence, english
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.dependence import find_shortcuts, stored_as
from whet.data.audit.finding import Finding, noted

FEW = 0.1  # share of the audio clips below which their names are listed


def check_formats(survey: AudioSurvey) -> list[Finding]:
    """More than one rate, number of channels or file format. Reading converts all to the same form, but a low rate lacks high
    frequencies. A warning where most of one class and few of the others share a value."""
    found = []
    rates = [f"{rate:,} Hz" for rate in survey.prints_N["rate"][survey.row_R].tolist()]
    channels = [_channels(count) for count in survey.prints_N["channels"][survey.row_R].tolist()]
    for mixed, text, tells, described, values in (
        (english("mixed rates"), _rates, english("rate predicts the class"), _at, rates),
        (english("mixed channels"), _numbers, english("channels predicts the class"), _in, channels),
        (
            english("mixed file formats"),
            _formats,
            english("file format predicts the class"),
            stored_as,
            format_words(survey),
        ),
    ):
        kinds = Counter(values)
        if len(kinds) > 1:
            listed = ", ".join(f"{count:,} {name}" for name, count in kinds.most_common())
            rare = {name for name, count in kinds.items() if count <= FEW * len(values)}
            entries = [((survey.id_N[row],), name) for row, name in zip(survey.row_R, values) if name in rare]
            found.append(noted(mixed, "fact", text(listed), entries))
        found += find_shortcuts(survey, values, tells, described)
    return found


def format_words(survey: AudioSurvey) -> list[str]:
    """Format and subtype of the readable rows, such as WAV PCM_16."""
    prints = survey.prints_N[survey.row_R]
    return [
        f"{name.decode()} {kind.decode()}" for name, kind in zip(prints["format"].tolist(), prints["subtype"].tolist())
    ]


def _rates(values: str) -> Sentence:
    return english("several rates: {values}", values=values)


def _numbers(values: str) -> Sentence:
    return english("several numbers of channels: {values}", values=values)


def _formats(values: str) -> Sentence:
    return english("several file formats: {formats}", formats=values)


def _at(rate: str) -> Sentence:
    return english("at a rate of {rate}", rate=rate)


def _in(channels: str) -> Sentence:
    return english("recorded in {channels}", channels=channels)


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")
