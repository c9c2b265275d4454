"""The tasks: what is asked of a sample. One file each; `core.task.Task` says what a task has to know."""

from whet.tasks.multi_label import MultiLabel
from whet.tasks.single_label import SingleLabel

SINGLE_LABEL, MULTI_LABEL = SingleLabel(), MultiLabel()

__all__ = ["MultiLabel", "SingleLabel"]
