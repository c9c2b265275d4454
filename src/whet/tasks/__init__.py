"""The tasks, one file each; `core.task.Task` defines their interface."""

from whet.tasks.multi_label import MultiLabel
from whet.tasks.single_label import SingleLabel

SINGLE_LABEL, MULTI_LABEL = SingleLabel(), MultiLabel()

__all__ = ["MultiLabel", "SingleLabel"]
