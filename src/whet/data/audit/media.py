"""The audit of each medium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whet.core.language import Sentence, english
from whet.data.audit.audio.clues import CLUES as AUDIO_CLUES
from whet.data.audit.audio.durations import check_durations
from whet.data.audit.audio.formats import check_formats
from whet.data.audit.audio.levels import check_levels
from whet.data.audit.audio.survey import survey_audio
from whet.data.audit.blank import check_blank
from whet.data.audit.clue import Clue
from whet.data.audit.colours import check_colours
from whet.data.audit.finding import Finding
from whet.data.audit.first_model import audio_features, audio_probs, image_features, image_probs
from whet.data.audit.groups import check_group_column, check_groups
from whet.data.audit.image_clues import CLUES as IMAGE_CLUES
from whet.data.audit.near_duplicates import check_near_duplicates
from whet.data.audit.origin import check_origin
from whet.data.audit.sizes import check_sizes
from whet.data.audit.survey import Survey, survey_images
from whet.data.audit.texts.boilerplate import check_boilerplate
from whet.data.audit.texts.clues import CLUES as TEXT_CLUES
from whet.data.audit.texts.first_model import text_features, text_probs
from whet.data.audit.texts.lengths import check_lengths
from whet.data.audit.texts.mojibake import check_mojibake
from whet.data.audit.texts.scripts import check_scripts
from whet.data.audit.texts.survey import survey_texts
from whet.data.audit.unreadable import check_unreadable
from whet.data.audit.unseen import check_unseen
from whet.data.table import Table

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Medium:
    """look: creates the survey by reading every sample once. looking: a description of that step. checks: checks of the survey, in
    addition to those for all data. clues: features of the shortcut probes. first_model: a model without pretrained weights; takes
    rows and their folds, and returns out-of-fold class probabilities (R, K). vectors: its features of some rows, (R, D). features:
    a description of them."""

    look: Callable[[Table, int, Advance], Survey]
    looking: Sentence
    checks: tuple[Callable[[Any], list[Finding]], ...]
    clues: tuple[Clue, ...]
    first_model: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]
    vectors: Callable[[Any, np.ndarray], Any]
    features: Sentence


MEDIA = {
    "image": Medium(
        survey_images,
        english("opening every image"),
        (
            check_unreadable,
            check_near_duplicates,
            check_groups,
            check_blank,
            check_sizes,
            check_colours,
            check_origin,
            check_unseen,
        ),
        IMAGE_CLUES,
        image_probs,
        image_features,
        english("hand-crafted features"),
    ),
    "text": Medium(
        survey_texts,
        english("reading every text"),
        (check_near_duplicates, check_group_column, check_lengths, check_mojibake, check_scripts, check_boilerplate),
        TEXT_CLUES,
        text_probs,
        text_features,
        english("words and character n-grams"),
    ),
    "audio": Medium(
        survey_audio,
        english("decoding every audio clip"),
        (check_unreadable, check_near_duplicates, check_group_column, check_durations, check_levels, check_formats),
        AUDIO_CLUES,
        audio_probs,
        audio_features,
        english("log-mel bands"),
    ),
}
