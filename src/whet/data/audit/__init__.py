"""Checks of a data set before training and evaluation. Each check is one file; none changes the user's files.

A check takes the table, or the survey with the record of every sample, and returns findings. It is registered in `run.py` among the
checks of a kind of labels, or in `media.py` among those of its medium. Checks for images are in this folder, checks for texts,
audio clips and masks in folders of their own.
"""

from whet.data.audit.balance import check_balance
from whet.data.audit.blank import check_blank
from whet.data.audit.clean import Cleaned, clean, write_cleaned
from whet.data.audit.colours import check_colours
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding, by_gravity
from whet.data.audit.groups import check_groups
from whet.data.audit.label_errors import check_labels
from whet.data.audit.label_sets import check_label_sets
from whet.data.audit.media import MEDIA
from whet.data.audit.near_duplicates import check_near_duplicates
from whet.data.audit.origin import check_origin
from whet.data.audit.run import audit, audit_survey, look
from whet.data.audit.shortcuts import Probe, check_shortcuts, probe_shortcuts
from whet.data.audit.sizes import check_sizes
from whet.data.audit.survey import ImageSurvey, Survey, survey_images
from whet.data.audit.unreadable import check_unreadable

__all__ = [
    "MEDIA", "Cleaned", "Finding", "ImageSurvey", "Probe", "Survey", "audit", "audit_survey", "by_gravity", "check_balance",
    "check_blank", "check_colours", "check_duplicates", "check_groups", "check_label_sets", "check_labels",
    "check_near_duplicates", "check_origin", "check_shortcuts", "check_sizes", "check_unreadable", "clean", "look",
    "probe_shortcuts", "survey_images", "write_cleaned",
]  # fmt: skip
